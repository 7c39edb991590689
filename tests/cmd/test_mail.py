"""``firstbad mail`` against a real SMTP server: what is sent, once, to whom, and what is held back.

What arrives is read by git and by b4, as those do who get it.
"""

import asyncio
import contextlib
import json
import mailbox
import shutil
import socket
import subprocess
import sys
import threading
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.support.stories import Done, finished_job

from firstbad.cli import main
from firstbad.home import Home
from firstbad.session.outbox import Outbox, mails
from firstbad.store import Store

aiosmtpd = pytest.importorskip("aiosmtpd.controller", reason="aiosmtpd is not installed: uv sync")
FROM = "A Bisector <bisector@example.org>"


class Inbox:
    """What the server took, and how it is to answer."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.recipients: list[list[str]] = []
        self.refused: set[str] = set()
        self.answer = "250 OK"
        self.stalls: threading.Event | None = None

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in self.refused:
            return "550 no such person"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.answer == "drop":
            server.transport.close()
            return "250 OK"
        if self.answer.startswith("250"):
            self.taken.append(envelope.original_content)
            self.recipients.append(list(envelope.rcpt_tos))
        if self.stalls is not None:
            self.stalls.set()
            await asyncio.sleep(5)
        return self.answer


@contextlib.contextmanager
def serving(box: Inbox, controller=aiosmtpd.Controller):
    """The server, at a port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = controller(box, hostname="127.0.0.1", port=port)
    server.start()
    box.address = f"127.0.0.1:{port}"
    try:
        yield box
    finally:
        server.stop()


@pytest.fixture
def inbox():
    with serving(Inbox()) as box:
        yield box


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Done:
    return finished_job(tmp_path_factory.mktemp("job"), report={"cc": ["list@example.net"]})


@pytest.fixture
def done(template, tmp_path, monkeypatch) -> Done:
    """The job, in a data directory of this test's own."""
    place = Home(tmp_path / "home", 1 << 30)
    shutil.copytree(template.place.root, place.root)
    monkeypatch.setenv("FIRSTBAD_HOME", str(place.root))
    return Done(place, Store(place.database), template.number, template.history)


def invoke(*args: object):
    return CliRunner().invoke(main, [str(arg) for arg in args])


def send(inbox: Inbox, *more: object):
    return invoke("mail", "--send", "--from", FROM, "--smtp", inbox.address, *more)


def read(raw: bytes):
    return message_from_bytes(raw, policy=policy.default)


def test_it_is_sent_once_and_read_by_git_and_b4(done, inbox, tmp_path):
    culprit = done.history.commits["c13"]
    result = send(inbox, "--in-reply-to", "<crash@example.net>", "--subject", "A crash", "--reported-by",
                  "Jo Doe <jo@example.com>")  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert inbox.recipients == [["dev@example.org", "list@example.net", "regressions@lists.linux.dev"]]
    mail = read(inbox.taken[0])
    assert mail["From"] == FROM
    assert mail["In-Reply-To"] == "<crash@example.net>"
    text = mail.get_content().replace("\r\n", "\n")
    expected = ["Reported-by: Jo Doe <jo@example.com>", "Link: https://lore.kernel.org/r/crash@example.net",
                f'Fixes: {culprit[:12]} ("c13")']  # fmt: skip
    parsed = subprocess.run(["git", "interpret-trailers", "--parse"], input=f"t\n\n{text}", text=True,
                            capture_output=True, check=True)  # fmt: skip
    assert parsed.stdout.splitlines() == expected
    b4 = pytest.importorskip("b4", reason="b4 is not installed: uv sync")
    box = mailbox.mbox(tmp_path / "box.mbox")
    box.add(inbox.taken[0])
    box.flush()
    letter = b4.LoreMessage(message_from_bytes(next(iter(box)).as_bytes()))
    assert [f"{one.name}: {one.value}" for one in letter.trailers] == expected
    _, _, found, basement, _ = b4.LoreMessage.get_body_parts(text)
    assert [f"{one.name}: {one.value}" for one in found] == expected
    assert basement == ""
    again = send(inbox)
    assert again.exit_code == 1
    assert "reported already" in again.stderr
    assert len(inbox.taken) == 1
    assert "reported already" in invoke("show").stdout
    assert "finished" in invoke("status").stdout


def test_nothing_is_sent_unasked(done, inbox, tmp_path):
    result = invoke("mail", "--from", FROM, "--smtp", inbox.address)
    assert result.exit_code == 0
    assert "[REGRESSION]" in result.stdout
    file = tmp_path / "report.eml"
    assert invoke("mail", "--output", file).exit_code == 0
    draft = read(file.read_bytes())
    assert draft["From"] is None
    assert draft["To"] == "dev@example.org"
    assert json.loads(invoke("mail", "--json").stdout)["held"] == []
    assert inbox.taken == []
    assert mails(done.store) == []


def test_another_job_with_the_same_bug_is_told_nothing_twice(done, inbox):
    assert send(inbox).exit_code == 0
    first = done.store.job(done.number)
    other = done.store.submit(first.job)
    for event in done.store.events(done.number):
        if event.kind != "mail":
            done.store.append(other, event.kind, event.data)
    result = send(inbox, other)
    assert "reported already: by job 1" in result.stderr
    assert len(inbox.taken) == 1


@pytest.mark.parametrize(
    ("fields", "changes", "words"),
    [
        ({"private": True}, {}, "private (embargoed)"),
        ({"report": {"confidence": 0.99999}}, {}, "below the job's limit"),
        ({}, {"noop": True}, "contradicts itself"),
        ({}, {"status": "older_than_oldest", "commits": [], "probabilities": []}, "no commit is named"),
    ],
)
def test_what_is_held_back_is_not_sent(tmp_path, monkeypatch, inbox, fields, changes, words):
    done = finished_job(tmp_path / "job", **fields)
    monkeypatch.setenv("FIRSTBAD_HOME", str(done.place.root))
    if changes:
        done.finish_again(**changes)
    result = send(inbox)
    assert result.exit_code == 1
    assert words in result.stderr
    assert words in invoke("show").stdout
    assert words in invoke("mail").stderr
    assert words in json.loads(invoke("mail", "--json").stdout)["held"][0]["reason"]
    assert inbox.taken == []
    assert mails(done.store) == []


def test_a_rule_that_may_be_waived(done, inbox):
    done.finish_again(proof={"verdict": "still", "why": "it still crashes"})
    assert "[still-crashes]" in send(inbox).stderr
    assert send(inbox, "--waive", "still-crashes").exit_code == 0
    assert send(inbox, "--waive", "unsure").exit_code == 2


def test_a_changed_answer_is_corrected_in_the_same_thread(done, inbox):
    assert send(inbox).exit_code == 0
    first = read(inbox.taken[0])
    other = done.history.commits["c15"]
    done.finish_again(
        commits=[other], title="c15", parents=[done.history.commits["c14"]], to=["new@example.org"], cc=[]
    )
    assert "says otherwise" in invoke("show").stdout
    assert "this corrects" in invoke("mail").stderr
    assert send(inbox).exit_code == 0
    second = read(inbox.taken[1])
    assert second["In-Reply-To"] == first["Message-ID"]
    assert second["References"] == first["Message-ID"]
    assert second["Subject"] == f"Re: {first['Subject']}"
    assert inbox.recipients[1] == ["dev@example.org", "new@example.org", "list@example.net",
                                   "regressions@lists.linux.dev"]  # fmt: skip
    assert f'{done.history.commits["c13"][:12]} ("c13")' in second.get_content()
    assert f"Fixes: {other[:12]}" in second.get_content()
    assert send(inbox).exit_code == 1, "once"


def test_a_wrong_report_is_taken_back_where_there_is_no_better_answer(done, inbox):
    assert send(inbox).exit_code == 0
    done.finish_again(confidence=0.6, probabilities=[0.6])
    assert send(inbox).exit_code == 1, "the same answer, less sure: there is nothing to take back"
    done.finish_again(status="candidates", commits=[done.history.commits[f"c{n}"] for n in (3, 4)],
                      probabilities=[0.4, 0.4], confidence=0.8)  # fmt: skip
    assert "this takes back" in invoke("mail").stderr
    assert send(inbox).exit_code == 0
    text = read(inbox.taken[1]).get_content()
    assert "no new answer that is sure enough" in text
    assert done.history.commits["c3"][:12] not in text
    assert send(inbox).exit_code == 1, "once"
    assert len(inbox.taken) == 2


def test_a_refused_mail_may_be_sent_again(done, inbox):
    inbox.answer = "554 no"
    result = send(inbox)
    assert result.exit_code == 1
    assert "the server refused the mail: 554 no" in result.stderr
    inbox.answer = "250 OK"
    inbox.refused = {"list@example.net"}
    assert send(inbox).exit_code == 0, "one refused recipient is no reason to write to the others again"
    assert [one.fate for one in mails(done.store)] == ["failed", "sent"]
    assert "reported already" in send(inbox).stderr
    result = invoke("mail", "--send", "--from", FROM, "--smtp", "127.0.0.1:1")
    assert result.exit_code == 1


def test_a_mail_whose_end_was_not_seen_is_never_sent_twice(done, inbox):
    inbox.answer = "drop"
    result = send(inbox)
    assert result.exit_code == 1
    assert "the connection ended while the mail was sent" in result.stderr
    inbox.answer = "250 OK"
    result = send(inbox)
    assert result.exit_code == 1
    assert "its end was not seen" in result.stderr
    assert inbox.taken == []
    assert "unsent" in invoke("mail", "--settle", "unsent").stdout
    assert send(inbox).exit_code == 0
    assert invoke("mail", "--settle", "sent").exit_code == 2, "nothing is open"


def test_killed_while_the_mail_is_handed_over(done, inbox):
    inbox.stalls = threading.Event()
    command = [sys.executable, "-m", "firstbad", "mail", "--send", "--from", FROM, "--smtp", inbox.address]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert inbox.stalls.wait(60), "the server has the mail and has not answered yet"
    process.kill()
    process.wait()
    assert "its end was not seen" in send(inbox).stderr
    assert "sent" in invoke("mail", "--settle", "sent").stdout
    assert "reported already" in send(inbox).stderr
    assert len(inbox.taken) == 1


def test_a_rejected_culprit_is_taken_back(done, inbox):
    assert send(inbox).exit_code == 0
    assert invoke("reject", done.number, "--why", "reverted it: the crash stays").exit_code == 0
    result = invoke("mail")
    assert "this takes back" in result.stderr
    assert "There is no new answer" in result.stdout
    assert send(inbox).exit_code == 0
    assert read(inbox.taken[1])["In-Reply-To"] == read(inbox.taken[0])["Message-ID"]
    assert invoke("reject", done.number, "--undo").exit_code == 0
    result = send(inbox)
    assert result.exit_code == 1
    assert "no answer yet" in result.stderr
    assert len(inbox.taken) == 2


def test_nothing_to_report(done, inbox):
    done.finish_again(status="older_than_oldest", commits=[], probabilities=[])
    result = invoke("mail")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "nothing to report: no commit is named" in result.stderr


def test_a_server_without_encryption_gets_no_mail_that_needs_it(done, inbox):
    done.place.mail_settings.write_text('security = "starttls"\n')
    assert "STARTTLS" in send(inbox).stderr
    done.place.mail_settings.write_text('security = "none"\nuser = "jo"\n')
    result = invoke("mail", "--send", "--from", FROM, "--smtp", "mail.example.org:25")
    assert "a password is not sent without encryption" in result.stderr
    assert inbox.taken == []
    assert {one.fate for one in mails(done.store)} == {"failed"}


def test_a_password_is_read_from_its_file(done):
    from aiosmtpd.smtp import AuthResult

    def known(server, session, envelope, mechanism, data):
        return AuthResult(success=(data.login, data.password) == (b"jo", b"secret word"), handled=False)

    def controller(box, **place):
        return aiosmtpd.Controller(box, **place, authenticator=known, auth_require_tls=False)

    with serving(Inbox(), controller) as box:
        done.place.mail_settings.write_text('user = "jo"\npassword_file = "word"\n')
        assert "password_file" in send(box).stderr
        (done.place.root / "word").write_text("wrong\n")
        assert "535" in send(box).stderr
        (done.place.root / "word").write_text("secret word\n")
        result = send(box)
        assert result.exit_code == 0, result.stderr
        assert len(box.taken) == 1


def test_settings_limits_and_those_who_want_no_mail(done, inbox):
    settings: Path = done.place.mail_settings
    settings.write_text(f'from = "{FROM}"\nsmtp = "{inbox.address}"\nper_hour = 1\n')
    done.place.optout.write_text("example.net\nregressions@lists.linux.dev\n")
    result = invoke("mail", "--send", "--to", "more@example.com")
    assert result.exit_code == 0, result.stderr
    assert "left out, wants no mail: list@example.net" in result.stderr
    assert inbox.recipients == [["dev@example.org", "more@example.com"]]
    done.finish_again(commits=[done.history.commits["c15"]], title="c15", parents=[])
    assert "no more than 1 are allowed" in invoke("mail", "--send").stderr
    settings.write_text('smtp = "x"\ncolour = 1\n')
    assert "colour: Extra inputs" in invoke("mail").stderr
    settings.write_text('smtp = "x"\n')
    assert "not HOST:PORT" in invoke("mail", "--send", "--from", FROM).stderr
    settings.write_text("")
    assert "--send needs --from" in invoke("mail", "--send").stderr
    done.place.optout.write_text("example.org\nexample.net\nexample.com\n")
    assert "nobody is left to tell" in invoke("mail").stderr


def test_two_at_once_send_one(done, inbox):
    held = Outbox(done.place, done.store)
    results = []
    with held.locked():
        workers = [threading.Thread(target=lambda: results.append(attempt(inbox))) for _ in range(2)]
        for worker in workers:
            worker.start()
        assert results == []
    for worker in workers:
        worker.join()
    assert sorted(results) == [0, 1]
    assert len(inbox.taken) == 1


def attempt(inbox: Inbox) -> int:
    """Another process's try."""
    command = [sys.executable, "-m", "firstbad", "mail", "--send", "--from", FROM, "--smtp", inbox.address]
    return subprocess.run(command, capture_output=True, check=False).returncode


def test_letters_of_eight_bits_reach_a_server_that_knows_seven(done):
    from aiosmtpd.smtp import SMTP

    class Old(SMTP):
        async def smtp_EHLO(self, hostname):
            await self.push("502 unknown")

    class OldController(aiosmtpd.Controller):
        def factory(self):
            return Old(self.handler)

    with serving(Inbox(), OldController) as box:
        result = send(box, "--reported-by", "Jörg Ö <joerg@example.org>")
        assert result.exit_code == 0, result.stderr
    assert box.taken[0].isascii()
    assert "Reported-by: Jörg Ö <joerg@example.org>" in read(box.taken[0]).get_content()
