"""What others found out as evidence: read, judged, weighed, and a search that is finished instead of repeated."""

import contextlib
import json
from pathlib import Path
from statistics import mean

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from tests.support.lab import Lab
from tests.unit.test_session import bisect, contains, history, job_for, place, steps_of  # noqa: F401 - fixtures

from firstbad.errors import UserError
from firstbad.history.git import Repo
from firstbad.history.repository import GitHistory
from firstbad.report.page import html_page
from firstbad.session import bisection_log, fold, git_log_of
from firstbad.session.gathered import Known, evidence_events, from_bisection_log, from_git_log, known_to
from firstbad.session.opinions import Opinion
from firstbad.session.story import tell
from firstbad.session.syzbisect import from_crash_directory, from_syz_bisect
from firstbad.store import Store

H = [f"{number:040x}" for number in range(1, 10)]


def imported(place, history, gathered, lab, **fields):  # noqa: F811
    """A job with this evidence, run to its end."""
    known, missing = known_to(GitHistory(Repo(history.path)), gathered)
    assert not missing
    store = Store(place.database)
    data = {key: value for key, value in gathered.job.items() if value}
    number = store.submit(job_for(history, kind=gathered.kind, **{**data, **fields}), evidence_events(known))
    return bisect(place, None, lab, number)


def revisions(store, number) -> int:
    return fold(store.events(number)).revisions_tested()


def half(text: str) -> str:
    """The log as it was when half of its tests had been made."""
    lines = text.splitlines(keepends=True)
    places = [i for i, line in enumerate(lines) if line.startswith("testing commit")]
    return "".join(lines[: places[(len(places) + 1) // 2]])


CASES = [("c17", 1.0), ("c33", 1.0), ("s3", 0.5), ("c59", 0.5), ("c22", 0.3)]


def test_a_log_that_was_cut_is_finished_with_fewer_tests_than_a_new_bisection(history, place, tmp_path):  # noqa: F811
    """On average over bugs and chances; both end at the culprit."""
    new, rest, runs = [], [], []
    for seed, (culprit, rate) in enumerate(CASES):
        whole = Lab(tmp_path, contains(history, culprit), crash_rate=rate, seed=seed)
        _, store, number = bisect(place, job_for(history), whole)
        text = half(bisection_log(store.job(number).job, store.events(number)))
        lab = Lab(tmp_path, contains(history, culprit), crash_rate=rate, seed=100 + seed)
        gathered = from_bisection_log(text, "half.log")
        finished, _, other = imported(place, history, gathered, lab)
        assert finished["commits"][0] == history.commits[culprit]
        new.append(revisions(store, number))
        rest.append(revisions(store, other))
        runs.append((len(whole.runs), len(lab.runs)))
    assert mean(rest) < 0.8 * mean(new), (new, rest)
    assert mean(after for _, after in runs) < mean(before for before, _ in runs), runs


@pytest.mark.parametrize("kind", ["cause", "fix"])
def test_a_git_bisect_log_ends_sooner(history, place, tmp_path, kind):  # noqa: F811
    has = contains(history, "c33")
    start, first = ({}, "c33") if kind == "cause" else ({"commit": history.commits["c17"]}, "c33")
    truth = (lambda commit: has(commit)) if kind == "cause" else (lambda commit: not has(commit))
    _, store, number = bisect(place, job_for(history, kind=kind, **start), Lab(tmp_path, truth))
    text = git_log_of(store.job(number).job, store.events(number))
    gathered = from_git_log(text, "git.log")
    assert gathered.kind == kind
    finished, _, other = imported(place, history, gathered, Lab(tmp_path, truth))
    assert finished["commits"] == [history.commits[first]]
    assert revisions(store, other) < revisions(store, number)
    assert revisions(store, other) >= 3, "start, culprit and parent are run here, whatever was told"


def test_evidence_is_there_before_anything_runs_and_the_start_is_run_here(history, place, tmp_path):  # noqa: F811
    lab = Lab(tmp_path, contains(history, "c33"))
    text = f"git bisect start 'master' 'v6.1'\ngit bisect good {history.commits['c30']}\n"
    _, store, number = imported(place, history, from_git_log(text, "git.log"), lab)
    kinds = [event.kind for event in store.events(number)]
    assert kinds.index("started") == 9, "three revisions: test, run and mark each"
    assert steps_of(store, number)[3] == ("initial", history.commits["c59"])
    log = bisection_log(store.job(number).job, store.events(number))
    assert f"# firstbad: imported from git.log: {history.commits['c30']} good: 1 x OK" in log
    said = Opinion(history.commits["c3"], "ignore", "A <a@example.org>", "<b>no</b>")
    store.append(number, "opinion", said.to_event())
    told = html_page(tell(place, store.job(number), store.events(number)))
    assert "A &lt;a@example.org&gt; says: " in told
    assert "<b>no" not in told


def test_what_was_told_wrong_is_outweighed(history, place, tmp_path):  # noqa: F811
    """Two wrong verdicts that a bisection by git could never get over."""
    lab = Lab(tmp_path, contains(history, "c33"))
    wrong = [f"git bisect good {history.commits[f'c{i}']}" for i in (35, 45)]
    text = "\n".join(["git bisect start 'master' 'v6.0'", *wrong, f"git bisect bad {history.commits['c47']}"])
    finished, _, _ = imported(place, history, from_git_log(text, "git.log"), lab)
    assert finished["commits"] == [history.commits["c33"]]
    text = f"git bisect start 'master' 'v6.0'\ngit bisect bad {history.commits['c20']}\n"
    finished, _, _ = imported(place, history, from_git_log(text, "git.log"), lab)
    assert finished["commits"] == [history.commits["c33"]]


def test_what_git_logs_hold():
    text = f"""\
git bisect start
git bisect bad {H[0]}
git bisect reset
git bisect start '--term-old' 'broken' '--term-new=fixed' '--' 'net/a b' 'mm'
# status: waiting for both good and bad commits
# broken: [{H[1]}] old
git bisect broken {H[1]}
git bisect fixed {H[2]} # by hand
git bisect skip {H[3]} {H[4]}..{H[5]}
nonsense
# possible first fixed commit: [{H[3]}] x
"""
    found = from_git_log(text, "x")
    assert (found.kind, found.job["commit"], found.job["head"]) == ("fix", H[1], H[2])
    assert found.job["path"] == ["net/a b", "mm"]
    verdicts = {told.revision: told.verdict for told in found.told}
    assert verdicts == {H[1]: "bad", H[2]: "good", H[3]: "skip", f"{H[4]}..{H[5]}": "skip"}
    cause = from_git_log("git bisect start 'HEAD' 'v5' 'v6'\ngit-bisect good a\ngit bisect bad 'un\n", "x")
    assert (cause.kind, cause.job) == ("cause", {"commit": "HEAD", "good": ["v5"]})
    assert [told.revision for told in cause.told] == ["HEAD", "v5", "v6", "a", "'un"]
    flipped = from_git_log("git bisect start 'new' 'old'\n", "x", fix=True)
    assert (flipped.job["commit"], flipped.job["head"]) == ("old", "new")
    with pytest.raises(UserError, match="without any revision"):
        from_git_log("git bisect start\n", "x")


def test_skipped_ranges_and_unknown_revisions(history):  # noqa: F811
    names = history.commits
    text = f"git bisect start {names['c20']} v6.0\ngit bisect skip {names['c2']}..{names['c5']}\n"
    text += f"git bisect good {H[0]} --output=x\ngit bisect good v6.0..v6.1\n"
    known, missing = known_to(GitHistory(Repo(history.path)), from_git_log(text, "x"))
    skipped = {one.commit for one in known if one.told.verdict == "skip"}
    assert skipped == {names["c3"], names["c4"], names["c5"]}
    assert len(missing) == 3
    assert all("left out" in words for words in missing)


LOG = """\
bisecting cause commit starting from {0}
building syzkaller on {8}
testing commit {0} with gcc (GCC) 10.2.1 20210217
all runs: crashed: KASAN: use-after-free Read in foo_bar
testing release v5.11
testing commit {1} with gcc (GCC) 10.2.1 20210217
all runs: OK
# git bisect start {0} {1}
testing commit {2} with gcc (GCC) 10.2.1 20210217
run #0: crashed: SYZFAIL: wrong response packet
run #1: OK
run #2: OK
run #3: boot failed: can't ssh into the instance
# git bisect bad {2}
testing commit {3} with gcc (GCC) 10.2.1 20210217
run #0: crashed: KASAN: use-after-free Write in foo_bar
run #1: crashed: KASAN: use-after-free Read in foo_bar
run #2: OK
run #3: OK
# git bisect bad {3}
testing commit {4} with gcc (GCC) 10.2.1 20210217
fs/a.c:1: error: nonsense
# git bisect skip {4}
testing commit {5} with gcc (GCC) 10.2.1 20210217
all runs: infra problem: no machine
""".format(*H)


def test_a_syzbot_log_is_judged_run_by_run():
    found = from_bisection_log(LOG, "x")
    assert (found.kind, found.job["commit"]) == ("cause", H[0])
    assert found.job["title"] == "KASAN: use-after-free Read in foo_bar"
    assert found.job["reproducer"] == {"syzkaller_commit": H[8]}
    rows = {told.revision: told for told in found.told}
    assert [row.verdict for row in rows.values()] == ["bad", "good", "good", "bad", "skip", "skip"]
    assert rows[H[1]].release == "v5.11"
    assert len(rows[H[0]].runs) == len(rows[H[1]].runs) == 10
    assert [outcome for outcome, _ in rows[H[2]].runs] == ["other", "ok", "ok", "boot"]
    assert [outcome for outcome, _ in rows[H[3]].runs] == ["crash", "crash", "ok", "ok"]
    assert [outcome for outcome, _ in rows[H[5]].runs] == ["infra"] * 4, "as many as the test before it listed"
    with pytest.raises(UserError, match="which commit it starts from"):
        from_bisection_log("nonsense\n", "x")


def test_a_syz_bisect_configuration_and_its_crash_directory(tmp_path):
    crash, kernel = tmp_path / "crash", tmp_path / "linux"
    crash.mkdir()
    kernel.mkdir()
    (tmp_path / "kernel.config").write_text("CONFIG_64BIT=y\n")
    config = {
        "kernel_repo": "git://git.example.org/linux.git",
        "kernel_branch": "master",
        "kernel_config": "kernel.config",
        "kernel_baseline_config": "missing.config",
        "compiler_type": "clang",
        "sysctl": "x",
        "kernel_commit": H[0],
        "backports": [{"guilty_hash": H[1], "fix_hash": H[2], "comment": "c"}, 7],
        "manager": {"target": "linux/amd64/386", "kernel_src": str(kernel), "vm": {"cpu": 4, "mem": 2048, "count": 9}},
    }
    text = f"# a comment\n{json.dumps(config, indent=1)}"
    found = from_syz_bisect(text, "vm.cfg", tmp_path)
    assert found.job == {
        "config": str(tmp_path / "kernel.config"),
        "repo": str(kernel),
        "commit": H[0],
        "branch": "master",
        "build": {"toolchain": "clang", "fixes": [{"commit": H[2], "guilty": H[1]}], "arch": "x86_64"},
        "reproducer": {"arch": "i386"},
        "machine": {"cpus": 4, "memory_mb": 2048},
    }
    assert [note.partition(":")[0] for note in found.notes][:2] == ["kernel_baseline_config", "kernel_repo"]
    assert "sysctl" in found.notes[-1]
    fix = from_syz_bisect(text, "vm.cfg", tmp_path, fix=True)
    assert (fix.kind, fix.job["head"]) == ("fix", "master")
    for nonsense in ("{", "[]", "{}", '{"kernel_repo": ' + "[" * 5000):
        with pytest.raises(UserError):
            from_syz_bisect(nonsense, "x", tmp_path)

    with pytest.raises(UserError, match="not a crash directory"):
        from_crash_directory(crash)
    (crash / "repro.prog").write_text("getpid()\n")
    (crash / "repro.cprog").write_text("int main(void) { return 0; }\n")
    (crash / "repro.opts").write_text('{"threaded":true,"repeat":true,"procs":6,"sandbox":"none"}\n')
    (crash / "description").write_text("WARNING in foo\n")
    (crash / "cause.commit").write_text(H[3] + "\n")
    found = from_crash_directory(crash)
    assert found.job["repro"] == str(crash / "repro.cprog")
    assert found.job["title"] == "WARNING in foo"
    assert found.job["reproducer"] == {
        "threaded": True, "collide": False, "slowdown": 1, "sandbox": "none", "procs": 6, "repeat_times": 0,
    }  # fmt: skip
    assert [(told.revision, told.verdict) for told in found.told] == [(H[3], "bad"), (f"{H[3]}^", "good")]
    (crash / "cause.commit").write_text("the crash already happened on the oldest tested release\n")
    assert from_crash_directory(crash).told == ()


PIECES = [
    "git bisect ", "git-bisect", "start", "skip", "bad", " 'v6", "..", "--", "--term-new", "\n", "{", '"manager":', "[",
    "# ", "bisecting cause commit starting from ", H[0], "testing commit ", "all runs: ", "run #0: ", "crashed: ", "OK",
    "\x00", "\x1b[2J",
]  # fmt: skip


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=30).map("".join))
def test_no_text_is_too_strange(text):
    for read in (from_git_log, from_bisection_log, lambda one, name: from_syz_bisect(one, name, Path("/nonexistent"))):
        with contextlib.suppress(UserError):
            found = read(text, "x")
            assert all(told.runs for told in found.told)
            json.dumps(evidence_events([Known("c", "t", told, "x") for told in found.told]))


def test_a_job_and_its_evidence_are_kept_together_or_not_at_all(history, place):  # noqa: F811
    store = Store(place.database)
    with pytest.raises(sa.exc.StatementError):
        store.submit(job_for(history), [("test", {"a": 1}), ("run", {"b": object()})])
    assert store.jobs() == []
    number = store.submit(job_for(history), [("test", {"a": 1}), ("run", {"b": 2})])
    assert [(event.seq, event.kind) for event in store.events(number)] == [(0, "test"), (1, "run")]
    assert store.append(number, "x", {}).seq == 2
