"""Mail about an answer: what it says, whom it goes to, and that nothing hostile gets out of its line."""

import datetime
import email
import email.policy
import re
import subprocess
from dataclasses import replace

import pytest

from firstbad.errors import UserError
from firstbad.report.addresses import OptOut, fit, message_id, person, shown, valid
from firstbad.report.hostile import LINE, one_line, quoted
from firstbad.report.mail import REGRESSIONS, Earlier, Original, bug_key, compose
from firstbad.report.story import Candidate, Claim, Culprit, Revision, Story

HASH = "0123456789abcdef0123456789abcdef01234567"
SENDER = person("A Bisector <bisector@example.org>", "from")
NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
LIVE = re.compile(r"\s*(?:#(?:syz|regzbot)|From |diff |---|\+\+\+|@@|-- $|[A-Za-z][\w-]*-by:|Fixes:|Link:|Cc:)")


def story(**changes) -> Story:
    culprit = Culprit(HASH, "net: break it", "A <a@example.org>", files=("net/core/dev.c",), parents=("f" * 40,))
    known = Story(
        job=1, kind="cause", name="", repo="linux", arch="x86_64", private=False, start="a" * 40,
        start_title="the start", status="found", why="", confidence=0.998, limit=0.99, boundary="",
        crash_title="KASAN: use-after-free Read in foo", crash_report="BUG: KASAN\n foo+0x1/0x2 net/core/dev.c:7",
        candidates=(Candidate(HASH, "net: break it", 0.998),), culprit=culprit, crash_rate=0.9, foreign=False,
        proof="gone", proof_why="with the culprit reverted the start commit did not crash in 7 runs", steps=(),
        revisions=(Revision(HASH, "net: break it", "culprit", 3, 0, 0, 0, 0, "bad", "", "7 s"),), belief=None,
        to=("author@example.org",), cc=("list@example.org",), compiler="gcc 12", machines="", runs=9, tested=4,
        wall_seconds=9, build_seconds=5, test_seconds=4,
    )  # fmt: skip
    return replace(known, **changes)


def as_sent(letter, sender=SENDER) -> email.message.EmailMessage:
    """The mail as a reader of bytes sees it."""
    raw = letter.message(sender, NOW, "<own.1@example.org>").as_bytes()
    return email.message_from_bytes(raw, policy=email.policy.default)


def trailers(text: str) -> list[str]:
    out = subprocess.run(["git", "interpret-trailers", "--parse"], input=f"a title\n\n{text}", text=True,
                         capture_output=True, check=True).stdout  # fmt: skip
    return out.splitlines()


def test_a_cause():
    mail = as_sent(compose(story(), Original(), SENDER))
    assert mail["From"] == "A Bisector <bisector@example.org>"
    assert mail["To"] == "author@example.org"
    assert mail["Cc"] == f"list@example.org, {REGRESSIONS}"
    assert mail["Subject"] == "[REGRESSION] KASAN: use-after-free Read in foo: bisected to 0123456789ab"
    assert mail["In-Reply-To"] is None
    assert mail.get_content_type() == "text/plain"
    text = mail.get_content().replace("\r\n", "\n")
    assert f"\n\n#regzbot introduced: {HASH}\n\n" in text, "a paragraph of its own"
    assert trailers(text) == [
        "Reported-by: A Bisector <bisector@example.org>",
        'Fixes: 0123456789ab ("net: break it")',
    ]
    assert "| BUG: KASAN\n|  foo+0x1/0x2 net/core/dev.c:7\n" in text
    assert "99.8%" in text
    assert "the start commit did not crash in 7 runs" in text


def test_a_reply_to_the_report():
    original = Original("crash.1@example.net", ("<first@example.net>",), "KASAN: bad", "", "Jo Doe <jo@example.com>")
    mail = as_sent(compose(story(), original, SENDER))
    assert mail["Subject"] == "Re: KASAN: bad"
    assert mail["In-Reply-To"] == "<crash.1@example.net>"
    assert mail["References"] == "<first@example.net> <crash.1@example.net>"
    text = mail.get_content()
    assert f"#regzbot ^introduced: {HASH}" in text
    assert trailers(text) == [
        "Reported-by: Jo Doe <jo@example.com>",
        "Link: https://lore.kernel.org/r/crash.1@example.net",
        'Fixes: 0123456789ab ("net: break it")',
    ]
    link = compose(story(), replace(original, link="https://bugs.example.org/7", subject="re: x"), SENDER)
    assert "Link: https://bugs.example.org/7\n" in link.text
    assert link.subject == "re: x"


def test_a_fix_and_candidates():
    fix = compose(story(kind="fix"), Original(), SENDER)
    assert "no longer happens since the commit" in fix.text
    assert fix.subject.endswith("fixed by 0123456789ab")
    assert "Fixes:" not in fix.text
    assert "#regzbot" not in fix.text
    assert f"#regzbot fixed-by: {HASH}" in compose(story(kind="fix"), Original("<a@example.org>"), SENDER).text
    two = (Candidate(HASH, "one", 0.6), Candidate("b" * 40, "two", 0.395))
    unsure = compose(story(status="candidates", culprit=None, candidates=two), Original(), SENDER)
    assert 'bbbbbbbbbbbb ("two"), 39.5%' in unsure.text
    assert "bisected to one of 2 commits" in unsure.subject
    assert "Fixes:" not in unsure.text
    assert trailers(unsure.text) == []


def test_a_correction_and_a_withdrawal():
    earlier = Earlier("<own.0@example.org>", ("<crash@example.net>",), "Re: KASAN", ("first@example.org",), (),
                      "c" * 40, "the wrong one", True)  # fmt: skip
    mail = compose(story(), Original("<crash@example.net>"), SENDER, earlier=earlier)
    assert mail.in_reply_to == "<own.0@example.org>"
    assert mail.references == ("<crash@example.net>", "<own.0@example.org>")
    assert mail.to == ("first@example.org", "author@example.org"), "who was told is told again"
    assert 'cccccccccccc ("the wrong one")\n\nand that answer no longer stands' in mail.text
    assert f"\n#regzbot introduced: {HASH}\n" in mail.text, "the thread is tracked already"
    taken = compose(story(), Original(), SENDER, earlier=earlier, named=False)
    assert taken.to == ("first@example.org",)
    assert HASH[:12] not in taken.text
    assert "#regzbot" not in taken.text
    assert trailers(taken.text) == []


HOSTILE = [
    "x\r\nBcc: evil@example.com",
    "x\nSigned-off-by: Evil <evil@example.com>",
    "#syz fix: everything",
    "#regzbot introduced: v1",
    "From evil@example.com Thu Jan  1 00:00:00 1970",
    "--- a/file\n+++ b/file\n@@ -1 +1 @@\n-a\n+b",
    "diff --git a/x b/x",
    "-- \nsignature",
    "\u202egnitirw\u202c \u2066x\u2069 \u200b\ufeff",
    "\u2028Signed-off-by: Evil <evil@example.com>\u2029\x85#syz invalid\x0b\x0c\x1c",
    "\x00\x1b[31mred\x07",
    "t" * 10_000,
    "é" * 10_000,
    "e" + "\u0301" * 10_000,
    "\udcff\ud800",
    "=?utf-8?q?x=0D=0ABcc:_evil@example.com?=",
    '") {{ 7*7 }} {% raw %} <b>',
]


def reporter(name: str) -> str:
    """A reporter with this name, or without it where no such address is taken."""
    try:
        person(f'"{name}" <jo@example.com>', "x")
    except UserError:
        return "jo@example.com"
    return f'"{name}" <jo@example.com>'


@pytest.mark.parametrize("evil", HOSTILE, ids=[repr(one[:20]) for one in HOSTILE])
def test_nothing_hostile_leaves_its_line(evil):
    culprit = replace(story().culprit, title=evil, claims=(Claim("d" * 40, evil, evil),))
    report = "\n".join(HOSTILE) + "\n" + "x" * 5000
    asked = story(culprit=culprit, crash_title=evil, crash_report=report, start_title=evil, compiler=evil,
                  proof_why=evil, to=("author@example.org", evil, f"a@example.org{evil}"))  # fmt: skip
    original = Original("<crash@example.net>", (), evil, evil, reporter(evil))
    for letter in (
        compose(asked, Original(), SENDER),
        compose(asked, original, SENDER),
        compose(replace(asked, status="candidates", culprit=None, candidates=(Candidate(HASH, evil, 0.5),) * 3),
                Original(), SENDER),
    ):  # fmt: skip
        for eight in (True, False):
            raw = letter.message(SENDER, NOW, "<own@example.org>", eight).as_bytes()
            assert max(len(line) for line in raw.split(b"\r\n")) <= 998
            assert b"\n" not in raw.replace(b"\r\n", b"")
            assert b"\r" not in raw.replace(b"\r\n", b"")
            mail = email.message_from_bytes(raw, policy=email.policy.default)
            assert set(mail.keys()) <= {"From", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To",
                                        "References", "User-Agent", "Content-Type", "Content-Transfer-Encoding",
                                        "MIME-Version"}  # fmt: skip
            assert mail["To"] == "author@example.org"
            assert len(mail["Subject"]) <= 200
            text = mail.get_content().replace("\r\n", "\n")
        live = [line for line in text.splitlines() if LIVE.match(line)]
        allowed = ("Reported-by: ", "Link: ", "Fixes: 0123456789ab (", f"#regzbot introduced: {HASH}",
                   f"#regzbot ^introduced: {HASH}")  # fmt: skip
        assert [line for line in live if not line.startswith(allowed)] == []
        assert len(live) == len({line.split()[0] for line in live}), "each once"
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]", text)
        named = [line.split(":")[0] for line in trailers(text)]
        assert set(named) <= {"Reported-by", "Link", "Fixes"}
        assert len(named) == len(set(named))


def test_who_is_left_out_is_told():
    optout = OptOut(frozenset({"list@example.org"}), frozenset({"example.com"}))
    asked = story(to=("author@example.org", "x@lists.example.com", "no address"))
    letter = compose(asked, Original(), SENDER, optout=optout, more_to=["AUTHOR@example.org"])
    assert letter.to == ("author@example.org",)
    assert letter.cc == (REGRESSIONS,)
    assert letter.notes == (
        "left out, wants no mail: x@lists.example.com",
        "left out, not an address: no address",
        "left out, wants no mail: list@example.org",
    )
    assert REGRESSIONS not in compose(asked, Original(), SENDER, optout=OptOut(domains=frozenset({"linux.dev"}))).cc


def test_optout_file(tmp_path):
    file = tmp_path / "optout.txt"
    assert OptOut.read(file) == OptOut()
    file.write_text("# nobody\nJo@Example.org  # asked us\n@lists.example.com\nexample.net\n\n")
    known = OptOut.read(file)
    assert known.holds("jo@example.org")
    assert not known.holds("joe@example.org")
    assert known.holds("a@lists.example.com")
    assert known.holds("a@deep.example.net")
    assert not known.holds("a@notexample.net")
    file.write_text("jo at example.org\n")
    with pytest.raises(UserError, match="line 1: neither an address nor a domain"):
        OptOut.read(file)


@pytest.mark.parametrize(
    "address",
    ["", "x", "a@b", "a b@example.org", "a@example.org\nBcc: x@example.org", "<a@example.org>", "a@-x.org",
     "é@example.org", "=?utf-8?q?x=0D=0Ay?=@example.org",
     "a@example.org,b@example.org", '"a b"@example.org', "a..b@example.org", "a@example.org ",
     f"{'a' * 65}@example.org",
     f"a@{'b' * 250}.org", "a\x00@example.org", "a@example.org>"],
)  # fmt: skip
def test_what_is_no_address(address):
    assert valid(address) == ""
    assert fit([address], OptOut())[0] == []


def test_people_and_ids():
    assert shown(person('"Doe, Jo" <jo@example.org>', "x")) == "Doe, Jo <jo@example.org>"
    assert shown(person("jo@example.org", "x")) == "jo@example.org"
    with pytest.raises(UserError, match=r"--from: no mail address: 'jo'"):
        person("jo", "--from")
    assert message_id("a.b@c", "x") == message_id(" <a.b@c> ", "x") == "<a.b@c>"
    for bad in ("a", "<a@b>\n<c@d>", "<a@b> <c@d>", "<a b@c>", "", "<=?utf-8?q?x=0D=0Ay?=@c>"):
        with pytest.raises(UserError, match="no Message-ID"):
            message_id(bad, "x")


def test_long_threads_stay_short():
    many = tuple(f"<{'x' * 90}.{n}@example.net>" for n in range(100))
    letter = compose(story(), Original("<crash@example.net>", many), SENDER)
    assert len(letter.references) == 20
    assert (letter.references[0], letter.references[-1]) == (many[0], "<crash@example.net>")
    raw = letter.message(SENDER, NOW, "<own@example.org>").as_bytes()
    assert b"=?" not in raw, "no Message-ID is encoded"
    assert email.message_from_bytes(raw, policy=email.policy.default)["References"].split() == list(letter.references)


def test_an_encoded_line_end_is_not_decoded_into_a_header():
    """Python's email package decodes encoded words in what it is told to write."""
    evil = "=?utf-8?q?x=0D=0ABcc:_evil@example.com?="
    sender = person(f'"{evil}" <bisector@example.org>', "from")
    raw = compose(story(crash_title=evil), Original(subject=evil), sender).message(sender, NOW).as_bytes()
    assert not re.search(rb"^bcc", raw, re.IGNORECASE | re.MULTILINE)


def test_names_with_letters_beyond_ascii():
    sender = person("Jörg Müller <joerg@example.org>", "from")
    mail = as_sent(compose(story(), Original(), sender), sender)
    assert mail["From"].addresses[0].display_name == "Jörg Müller"
    assert "Reported-by: Jörg Müller <joerg@example.org>" in mail.get_content()
    assert mail["Content-Transfer-Encoding"] == "8bit"
    assert as_sent(compose(story(), Original(), SENDER))["Content-Transfer-Encoding"] == "7bit"


def test_lines_and_blocks():
    assert one_line("a\n b\t\x00c") == "a b \N{REPLACEMENT CHARACTER}c"
    assert len(one_line("é" * 500).encode()) <= 200
    assert one_line("é" * 500).endswith("é…")
    assert quoted("a\n\tb\n") == "| a\n|         b"
    assert quoted("\n".join("abc"), 2) == "| a\n| b\n| ... 1 more lines"
    assert max(len(line.encode()) for line in quoted("ü" * 5000).splitlines()) <= LINE


def test_a_bug_is_a_culprit_and_a_title():
    assert bug_key(HASH, "a") == bug_key(HASH, "a")
    assert len({bug_key(HASH, "a"), bug_key(HASH, "b"), bug_key("b" * 40, "a"), bug_key("", "")}) == 4
    bug_key(HASH, "\udcff")
