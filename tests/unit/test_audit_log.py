"""An audit of logs that were made up for it: facts, terms, verdicts, words."""

import subprocess
import time
from dataclasses import replace

import pytest
from tests.support.audit_logs import ASTRAY, BUG, OTHER, RIGHT, commit, log, revision, start_line

from firstbad.audit import audit, facts_of, judge, to_json
from firstbad.audit.history import CLAIM_ODDS, consult
from firstbad.audit.terms import hypotheses, touches, weigh
from firstbad.audit.words import reasons, shown, suspicion
from firstbad.errors import UserError
from firstbad.history.git import Repo
from firstbad.report.gitlog import read_git_log
from firstbad.report.log import read_log


def test_a_log_that_fits_is_trusted():
    judged = audit(log(*RIGHT))
    assert judged.verdict == "trust"
    assert judged.suspect is None
    assert [one.verdict for one in judged.revisions] == ["bad", "good", "good", "bad"]
    assert any("drivers/widget/poke.c" in text for text in reasons(judged))


def test_a_stranger_once_in_ten_runs_is_the_suspect():
    judged = audit(log(*ASTRAY, title=OTHER, files="drivers/gadget/a.c"))
    assert judged.verdict == "reject"
    assert judged.suspect is not None
    assert (judged.suspect.hash, judged.suspect.why) == (commit(4), "unrelated-crash")
    words = " ".join(suspicion(judged))
    assert f"{OTHER} in 1 of 10 runs, 9 clean" in words
    assert f"the start commit showed {BUG} in 10 of 10 runs" in words
    assert judged.revisions[-1].verdict == "good"


def test_after_many_bad_releases_the_good_one_is_the_suspect():
    walk = [revision(10 + i, f"crashed: {BUG}", release=f"v4.{19 - i}") for i in range(9)]
    tests = (revision(1, f"crashed: {BUG}"), *walk, *RIGHT[1:])
    judged = audit(log(*tests, files="drivers/gadget/a.c"))
    assert judged.suspect is not None
    assert (judged.suspect.hash, judged.suspect.why) == (commit(2), "not-triggered")
    assert "all 9 releases tested before it crashed, down to v4.11" in suspicion(judged)


def test_trust_falls_with_each_thing_that_speaks_against_it():
    right = audit(log(*RIGHT)).trust
    for worse in (
        log(*RIGHT, files="drivers/gadget/a.c"),
        log(*RIGHT, title=OTHER),
        log(*RIGHT, merge=True),
        log(*RIGHT, files="drivers/widget/Kconfig"),
    ):
        assert audit(worse).trust < right


def test_the_json_of_the_contract():
    row = to_json("a.log", audit(log(*RIGHT)))
    assert list(row) == [
        "log", "kind", "start_commit", "crash_title", "result", "trust", "verdict", "suspect", "revisions",
        "revisions_tested", "build_seconds", "test_seconds",
    ]  # fmt: skip
    assert row["kind"] == "cause"
    assert row["start_commit"] == commit(1)
    assert row["crash_title"] == BUG
    assert row["result"] == {"status": "found", "commits": [commit(4)]}
    assert row["suspect"] is None
    assert (row["revisions_tested"], row["build_seconds"], row["test_seconds"]) == (4, 1800.0, 1200.0)
    assert [one["phase"] for one in row["revisions"]] == ["initial", "release", "bisect", "bisect"]
    assert all(0 <= one["p_bug"] <= 1 for one in row["revisions"])


def test_a_log_that_names_nothing_has_no_trust():
    judged = audit(read_log(f"bisecting cause commit starting from {commit(1)}\n" + revision(1, "OK")))
    assert judged.trust is None
    assert judged.verdict == "doubt"
    assert judged.suspect is None
    assert to_json("x", judged)["result"] == {"status": "unfinished", "commits": []}


def test_fix_bisections_tell_git_the_other_way_round():
    text = "\n".join(
        [
            f"bisecting fixing commit since {commit(1)}",
            revision(1, f"crashed: {BUG}"),
            f"testing current HEAD {commit(9)}",
            revision(9, "OK"),
            revision(5, f"crashed: {BUG}", "good"),
            revision(6, "OK", "bad"),
        ]
    )
    assert [one.logged for one in facts_of(read_log(text)).revisions] == ["bad", "good", "bad", "good"]


def test_what_does_not_build_is_skipped_and_misleads_nobody():
    broken = f"testing commit {commit(7)} with gcc (GCC) 10.2.1\nmm/a.c:1: error: no\n# git bisect skip {commit(7)}"
    facts = facts_of(log(*RIGHT[:3], broken, *RIGHT[3:]))
    assert [one.logged for one in facts.revisions] == ["bad", "good", "skip", "good", "bad"]
    assert shown(facts.revisions[2]) == "it did not build: mm/a.c:1: error: no"
    assert 2 not in [way.index for way in hypotheses(facts)]
    assert audit(log(*RIGHT[:3], broken, *RIGHT[3:])).revisions[2].verdict == "skip"


@pytest.mark.parametrize(
    ("line", "path"),
    [
        (" drivers/widget/{old => new}/poke.c | 2 +-", "drivers/widget/new/poke.c"),
        (" drivers/widget/{ => new}/poke.c | 2 +-", "drivers/widget/new/poke.c"),
        (" drivers/widget/{old => }/poke.c | 2 +-", "drivers/widget/poke.c"),
        (" a.c => drivers/widget/poke.c | 0", "drivers/widget/poke.c"),
        (" .../widget/poke.c | 2 +-", ".../widget/poke.c"),
        (" image.png | Bin 0 -> 7 bytes", "image.png"),
    ],
)
def test_paths_of_a_stat(line, path):
    named = facts_of(log(*RIGHT, files=line.strip().rsplit(" | ")[0])).named
    assert named is not None
    assert named.files == (path,)


def test_cut_and_untold_paths():
    facts = facts_of(log(*RIGHT, files=".../widget/poke.c"))
    assert facts.named is not None
    assert touches(facts, facts.named) == "drivers/widget/poke.c"
    top = replace(facts.named, files=(), directories=("drivers",))
    assert touches(facts, top) == "drivers"
    assert touches(facts, replace(top, title="net: something else")) == ""


def test_chances_are_of_ways_one_of_which_happened():
    found = hypotheses(facts_of(log(*RIGHT)))
    chances = weigh(found, {"right": 500.0, "other_commit": -900.0})
    assert sum(chances) == pytest.approx(1)
    assert chances[0] == pytest.approx(1)


def test_hostile_logs_end():
    text = f"bisecting cause commit starting from {commit(1)}\n" + revision(1, "crashed: " + "{ => " * 20_000)
    assert audit(read_log(text)).trust is None
    long = log(*RIGHT, files="{" * 3000 + " => " * 300)
    assert audit(long).trust is not None


BAD = f"crashed: {BUG}"
FORGED = {
    "it names a commit that it did not test": (RIGHT, 9),
    "it names a commit that it called good": (RIGHT, 3),
    "it does not show the crash at its start": (RIGHT[1:], 4),
    "calls none good": ((revision(1, BAD), start_line(), revision(4, BAD, "bad")), 4),
    "good, where every run showed the crash": ((*RIGHT[:3], revision(3, BAD, "good"), RIGHT[4]), 4),
    "bad, where every run was clean": ((*RIGHT[:4], revision(4, "OK", "bad")), 4),
    "did not test": ((), 4),
}


@pytest.mark.parametrize("words", FORGED)
def test_logs_that_contradict_themselves_are_not_trusted(words):
    """However well its last lines fit together."""
    tests, named = FORGED[words]
    judged = audit(log(*tests, named=named))
    assert judged.verdict == "reject"
    assert judged.trust <= 0.01
    assert any("contradicts itself" in text and words in text for text in reasons(judged))


def test_no_pattern_takes_for_ever():
    """Lines of all kinds without an end, and many of them."""
    begin = time.process_time()
    for line in (
        "testing commit ",
        "run #0: crashed: ",
        "all runs: ",
        "# git bisect bad ",
        "recipients (to): [",
        " a | ",
    ):
        for filling in ("(" * 200_000, " " * 200_000, "a " * 100_000, '"' * 200_000, "{ => " * 40_000, "0" * 200_000):
            audit(read_log(f"bisecting cause commit starting from {commit(1)}\n{line}{filling}\n"))
            read_git_log(f"git bisect start {filling}\ngit bisect good '{filling}\n# bad: [{filling}] {line}\n")
    assert time.process_time() - begin < 20


@pytest.fixture
def repo(tmp_path):
    def git(*args: str, **env: str) -> str:
        who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        done = subprocess.run(["git", "-C", tmp_path, *who, *args], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "-q")
    (tmp_path / "drivers/widget").mkdir(parents=True)
    found = []
    for number, message in enumerate(("a", "widget: poke harder", "widget: other", f"widget: fix\n\n{BUG}\n")):
        (tmp_path / "drivers/widget/poke.c").write_text(f"{number}\n")
        git("add", "-A")
        more = f'Fixes: {found[1]} ("widget: poke harder")\n' if number == 3 else ""
        git("commit", "-q", "-m", message + more)
        found.append(git("rev-parse", "HEAD"))
    return tmp_path, found


def named(facts, commit_hash: str):
    tests = [replace(one, hash=commit_hash) if one.hash == facts.named.hash else one for one in facts.revisions]
    return replace(facts, named=replace(facts.named, hash=commit_hash, files=()), revisions=tuple(tests))


def test_a_later_fix_speaks_for_the_commit_that_it_names(repo):
    path, (_, culprit, other, fix) = repo
    facts = facts_of(log(*RIGHT))
    right, wrong = (consult(named(facts, one), Repo(path)) for one in (culprit, other))
    assert right.odds == CLAIM_ODDS
    assert wrong.odds == 1 / CLAIM_ODDS
    assert fix[:12] in right.words[0]
    assert culprit in wrong.words[0]
    assert right.facts.named.files == ("drivers/widget/poke.c",)
    assert judge(wrong.facts, wrong.odds).trust < 0.5 < judge(right.facts, right.odds).trust


def test_a_clone_without_the_commit_says_so(repo):
    found = consult(facts_of(log(*RIGHT)), Repo(repo[0]))
    assert found.odds == 1
    assert "does not have" in found.words[0]


def test_no_repository(tmp_path):
    with pytest.raises(UserError):
        consult(facts_of(log(*RIGHT)), Repo(tmp_path / "none"))
