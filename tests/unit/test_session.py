"""The loop from submit to answer over a real git history, with kernels played by an engine that knows the truth."""

from concurrent.futures import Future
from pathlib import Path

import pytest
from tests.support.histories import History
from tests.support.lab import Lab

from firstbad.errors import BisectionError, InfrastructureError, UserError
from firstbad.history.git import Repo
from firstbad.history.repository import GitHistory
from firstbad.home import Home
from firstbad.job import Job, make_job
from firstbad.report import read_log, write
from firstbad.session import Bisection, bisection_log, find_question
from firstbad.session.pool import INFRA_LIMIT
from firstbad.store import Store
from firstbad.vm import MachineRun


class Quiet:
    def event(self, event, state):
        pass

    def activity(self, text):
        pass


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """60 commits on the first-parent line, a side branch of 6 merged at 40, one of 4 that leaves at 15 and is not
    merged, releases every 15; not to be written to."""
    made = History(tmp_path_factory.mktemp("history") / "repo")
    for number in range(60):
        parents = [f"c{number - 1}"] if number else []
        if number == 16:
            for side in range(4):
                made.commit(f"t{side}", parents=[f"t{side - 1}" if side else "c15"])
        if number == 40:
            for side in range(6):
                made.commit(f"s{side}", parents=[f"s{side - 1}" if side else "c30"])
            parents.append("s5")
        made.commit(f"c{number}", parents=parents)
        if number % 15 == 0:
            made.tag(f"v6.{number // 15}", f"c{number}")
    return made


@pytest.fixture
def place(tmp_path):
    return Home(tmp_path / "home", 1 << 30)


def job_for(history: History, **fields) -> Job:
    config, repro = history.path.parent / "config", history.path.parent / "repro.c"
    config.write_text("CONFIG_64BIT=y\n")
    repro.write_text("int main(void) { return 0; }\n")
    return make_job({"repo": str(history.path), "config": str(config), "repro": str(repro), **fields})


def contains(history: History, title: str):
    repo = Repo(history.path)
    return lambda commit: repo.is_ancestor(history.commits[title], commit)


def bisect(place: Home, job: Job, lab: Lab, number: int | None = None):
    store = Store(place.database)
    number = number or store.submit(job)
    return Bisection(store, number, place, Quiet(), engine=lambda home, job: lab).run(), store, number


@pytest.mark.parametrize("culprit", ["c2", "c17", "c33", "s3", "c40", "c59"])
def test_finds_the_culprit(history, place, tmp_path, culprit):
    lab = Lab(tmp_path, contains(history, culprit))
    finished, store, number = bisect(place, job_for(history), lab)
    assert finished["status"] == "found"
    assert finished["commits"] == [history.commits[culprit]]
    assert finished["confidence"] >= 0.99
    assert len(set(lab.builds)) == len(lab.builds), "no revision is built twice"
    log = bisection_log(store.job(number).job, store.events(number))
    assert write(read_log(log)) == log
    assert f"first bad commit: {history.commits[culprit]} {culprit}" in log


def test_idle_builders_are_told_what_will_probably_be_asked_for(history, place, tmp_path):
    lab = Lab(tmp_path, contains(history, "c33"), builders=8)
    finished, store, number = bisect(place, job_for(history), lab)
    assert finished["commits"] == [history.commits["c33"]]
    built = [commit for _, commit in steps_of(store, number)]
    asked, told = set[str](), 0
    steps = [event.data for event in store.events(number) if event.kind == "test"]
    for before, step in zip(lab.named, steps[1:], strict=False):
        asked |= {commit for commit, _ in before}
        told += step["commit"] in asked
        assert len(before) <= 8
        assert all(0 < chance <= 1 for _, chance in before)
    assert asked
    assert len(set(lab.builds)) == len(lab.builds) > len(set(built))
    assert told >= 2


def test_one_builder_is_told_nothing(history, place, tmp_path):
    lab = Lab(tmp_path, contains(history, "c33"))
    bisect(place, job_for(history), lab)
    assert lab.named == []


def test_a_culprit_right_after_the_oldest_release(history, place, tmp_path):
    """That release may hide the bug however often it is run clean, but it is the root: nothing is older."""
    finished, _, _ = bisect(place, job_for(history), Lab(tmp_path, contains(history, "c1")))
    assert finished["commits"] == [history.commits["c1"]]


def steps_of(store: Store, number: int) -> list[tuple[str, str]]:
    """Phase and revision of each test."""
    return [(event.data["phase"], event.data["commit"]) for event in store.events(number) if event.kind == "test"]


def test_only_releases_are_tested_until_one_is_good(history, place, tmp_path):
    lab = Lab(tmp_path, contains(history, "c20"))
    _, store, number = bisect(place, job_for(history), lab)
    phases = [phase for phase, _ in steps_of(store, number)]
    assert phases[0] == "initial"
    assert phases[1] == "release"
    assert phases.index("search") == 1 + phases.count("release")
    releases = {history.commits[f"c{i}"] for i in (0, 15, 30, 45)}
    crashes = contains(history, "c20")
    for phase, commit in steps_of(store, number)[1:]:
        assert (commit in releases) == (phase == "release") or phase != "release"
        if phase == "release" and not crashes(commit):
            break
        assert phase == "release"


def test_a_good_revision_that_was_named_ends_the_range(history, place, tmp_path):
    lab = Lab(tmp_path, contains(history, "c33"))
    finished, store, number = bisect(place, job_for(history, good=[history.commits["c22"]]), lab)
    assert finished["commits"] == [history.commits["c33"]]
    assert steps_of(store, number)[1] == ("release", history.commits["c22"])
    before = contains(history, "c22")
    assert all(before(commit) for _, commit in steps_of(store, number))


def test_a_machine_that_fails_run_after_run_ends_the_session(history, place, tmp_path):
    class Dead(Lab):
        def run(self, request):
            self.runs.append(request.console.name)
            done = Future()
            done.set_result(MachineRun("infrastructure", False, b"", None, 1, 0, "no such disk"))
            return done

    lab = Dead(tmp_path, lambda commit: True)
    with pytest.raises(InfrastructureError, match=r"12 runs in a row .*no such disk"):
        bisect(place, job_for(history), lab)
    assert INFRA_LIMIT <= len(lab.runs) <= INFRA_LIMIT + lab.machines


def test_flaky_bug_with_strangers_in_the_way(history, place, tmp_path):
    right = 0
    for seed in range(5):
        lab = Lab(tmp_path, contains(history, "c22"), crash_rate=0.4, stranger_rate=0.15, seed=seed)
        finished, _, _ = bisect(place, job_for(history), lab)
        right += finished["commits"] == [history.commits["c22"]]
    assert right == 5


def test_fix_bisection(history, place, tmp_path):
    gone = contains(history, "c44")
    lab = Lab(tmp_path, lambda commit: not gone(commit))
    finished, _, _ = bisect(place, job_for(history, kind="fix", commit="v6.2"), lab)
    assert finished["status"] == "found"
    assert finished["commits"] == [history.commits["c44"]]


def test_fix_with_a_side_branch_that_never_had_the_bug(history, place, tmp_path):
    gone, born = contains(history, "c44"), contains(history, "c35")
    lab = Lab(tmp_path, lambda commit: born(commit) and not gone(commit))
    finished, _, _ = bisect(place, job_for(history, kind="fix", commit=history.commits["c36"]), lab)
    assert finished["commits"] == [history.commits["c44"]]


def test_fix_of_a_crash_on_another_branch(history, place, tmp_path):
    """The merge base crashes, so the head inherited the bug; what follows is between the two."""
    gone = contains(history, "c44")
    lab = Lab(tmp_path, lambda commit: not gone(commit))
    finished, store, number = bisect(place, job_for(history, kind="fix", commit=history.commits["t3"]), lab)
    assert finished["status"] == "found"
    assert finished["commits"] == [history.commits["c44"]]
    steps = steps_of(store, number)
    assert [phase for phase, _ in steps[:3]] == ["initial", "base", "head"]
    assert [commit for _, commit in steps[:3]] == [history.commits[title] for title in ("t3", "c15", "c59")]
    assert not any(commit == history.commits[f"t{i}"] for _, commit in steps[1:] for i in range(4))


def test_a_bug_that_the_head_never_had_is_not_fixed_there(history, place, tmp_path):
    lab = Lab(tmp_path, contains(history, "t2"))
    finished, store, number = bisect(place, job_for(history, kind="fix", commit=history.commits["t3"]), lab)
    assert (finished["status"], finished["commits"]) == ("not_fixed", [])
    assert finished["boundary"] == history.commits["c15"]
    assert "merge base" in finished["why"]
    assert {phase for phase, _ in steps_of(store, number)} == {"initial", "base"}


def test_not_fixed_and_older(history, place, tmp_path):
    lab = Lab(tmp_path, lambda commit: True)
    finished, _, _ = bisect(place, job_for(history, kind="fix", commit="v6.2"), lab)
    assert finished["status"] == "not_fixed"
    finished, _, _ = bisect(place, job_for(history), lab)
    assert finished["status"] == "older_than_oldest"
    assert finished["boundary"] == history.commits["c0"]


def test_steps_around_what_does_not_build_or_boot(history, place, tmp_path):
    broken = frozenset(history.commits[f"c{i}"] for i in (20, 21, 22, 23))
    unbootable = frozenset(history.commits[f"c{i}"] for i in (26, 27))
    lab = Lab(tmp_path, contains(history, "c25"), broken=broken, unbootable=unbootable)
    finished, _, _ = bisect(place, job_for(history), lab)
    assert finished["commits"] == [history.commits["c25"]]


def test_culprit_inside_a_broken_stretch_gives_candidates(history, place, tmp_path):
    names = [f"c{i}" for i in (20, 21, 22, 23)]
    lab = Lab(tmp_path, contains(history, "c22"), broken=frozenset(history.commits[name] for name in names))
    finished, store, number = bisect(place, job_for(history), lab)
    assert finished["status"] == "candidates"
    assert set(finished["commits"]) == {history.commits[name] for name in [*names, "c24"]}
    log = bisection_log(store.job(number).job, store.events(number))
    assert "There are only 'skip'ped commits left to test." in log or "bisection is inconclusive" in log


@pytest.mark.parametrize("rate", [1.0, 0.4])
def test_same_kernel_is_not_run_again(history, place, tmp_path, rate):
    same = {history.commits[f"c{i}"]: "same" for i in range(20, 28)}
    lab = Lab(tmp_path, contains(history, "c20"), signatures=same, crash_rate=rate)
    finished, store, number = bisect(place, job_for(history), lab)
    assert finished["commits"] == [history.commits["c20"]]
    assert not finished["noop"]
    skipped = [event.data["commit"] for event in store.events(number) if event.kind == "same"]
    assert len(skipped) == len(set(skipped))


def test_resume_repeats_nothing(history, place, tmp_path):
    class Killed(BaseException):
        pass

    job = job_for(history)
    store = Store(place.database)
    number = store.submit(job)
    lab = Lab(tmp_path, contains(history, "c33"), crash_rate=0.6)
    countdown = {"left": 0}

    def maybe_die() -> None:
        countdown["left"] -= 1
        if countdown["left"] == 0:
            raise Killed

    lab.before_run = maybe_die
    for after in (1, 3, 7, 4, 6):
        countdown["left"] = after
        with pytest.raises(Killed):
            bisect(place, job, lab, number)
    lab.before_run = lambda: None
    finished, _, _ = bisect(place, job, lab, number)
    assert finished["commits"] == [history.commits["c33"]]
    recorded = [event.data["commit"] for event in store.events(number) if event.kind == "build"]
    assert len(recorded) == len(set(recorded))
    again, _, _ = bisect(place, job, lab, number)
    assert again == finished, "a finished job is not touched"


def test_start_that_does_not_crash(history, place, tmp_path):
    with pytest.raises(BisectionError, match="wasn't reproduced"):
        bisect(place, job_for(history), Lab(tmp_path, lambda commit: False))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"commit": "nonsense"}, "unknown revision: nonsense"),
        ({"good": ["nonsense"]}, "unknown revision: nonsense"),
        ({"commit": "v6.0"}, "no release tags before"),
        ({"kind": "fix", "commit": "master"}, "nothing between"),
        ({"commit": "v6.1", "good": ["v6.2"]}, "not contained in the start commit"),
    ],
)
def test_unusable_ends(history, fields, words):
    with pytest.raises(UserError, match=words):
        find_question(GitHistory(Repo(history.path)), job_for(history, **fields))


def test_a_good_revision_is_tested(history, place, tmp_path):
    lab = Lab(tmp_path, contains(history, "c10"))
    with pytest.raises(BisectionError, match="said to be good, but crashes"):
        bisect(place, job_for(history, good=["v6.1"]), lab)


def test_git_can_not_be_steered_by_a_revision(history, tmp_path: Path):
    for name in ("--output=/tmp/x", "-", "--all"):
        with pytest.raises(UserError):
            Repo(history.path).resolve(name)


def test_a_wrong_incremental_build_is_found_out(history, place, tmp_path):
    """c32 was built wrongly, as c34: it seems to be the culprit until it and its parent are built from nothing."""
    stale = {history.commits["c32"]: history.commits["c34"]}
    lab = Lab(tmp_path, contains(history, "c33"), stale=stale)
    finished, store, number = bisect(place, job_for(history), lab)
    assert finished["status"] == "found"
    assert finished["commits"] == [history.commits["c33"]]
    events = store.events(number)
    checked = {event.data["commit"]: event.data["same"] for event in events if event.kind == "verify"}
    assert checked[history.commits["c33"]] is True
    assert checked[history.commits["c32"]] is False
    log = bisection_log(store.job(number).job, events)
    assert write(read_log(log)) == log
    assert f"# firstbad: not verified: the signature of {history.commits['c32']}" in log
    assert f"# firstbad: verified: a clean build of {history.commits['c33']} has the same signature" in log


@pytest.mark.parametrize("kept", ["verify", "mark"])
def test_verification_goes_on_after_a_kill(history, place, tmp_path, kept):
    """Events are cut off right before or after the first clean build; the rest comes out the same."""
    stale = {history.commits["c32"]: history.commits["c34"]}
    whole, store, number = bisect(place, job_for(history), Lab(tmp_path, contains(history, "c33"), stale=stale))
    events = store.events(number)
    first = next(index for index, event in enumerate(events) if event.kind == "verify")
    again = Store(place.database)
    other = again.submit(again.job(number).job)
    for event in events[: first + (kept == "verify")]:
        again.append(other, event.kind, event.data)
    # Before it was recorded, the clean build was made: the store holds its kernel already.
    lab = Lab(tmp_path, contains(history, "c33"), stale=stale, builds=list(history.commits.values()))
    lab.fresh.append(events[first].data["commit"])
    finished, _, _ = bisect(place, again.job(other).job, lab, other)
    assert finished["commits"] == whole["commits"] == [history.commits["c33"]]
    checked = [event.data["commit"] for event in again.events(other) if event.kind == "verify"]
    assert len(checked) == len(set(checked))


def test_verification_can_be_left_out(history, place, tmp_path):
    lab = Lab(tmp_path, contains(history, "c33"))
    finished, _, _ = bisect(place, job_for(history, build={"verify": "off"}), lab)
    assert finished["status"] == "found"
    assert lab.fresh == []


@pytest.mark.parametrize(
    ("reverts", "verdict", "words"),
    [
        ("gone", "gone", "with the culprit reverted the start commit did not crash in"),
        ("still", "still", "with the culprit reverted the start commit still crashes"),
        ("conflict", "impossible", "not proved by a revert: the patch does not apply"),
    ],
)
def test_the_answer_is_proved_by_a_revert(history, place, tmp_path, reverts, verdict, words):
    """Whatever comes of it, it is told and the answer stays."""
    lab = Lab(tmp_path, contains(history, "c33"), reverts=reverts)
    finished, store, number = bisect(place, job_for(history), lab)
    assert finished["commits"] == [history.commits["c33"]]
    assert finished["proof"]["verdict"] == verdict
    assert finished["proof"]["why"].startswith(words)
    log = bisection_log(store.job(number).job, store.events(number))
    assert write(read_log(log)) == log
    assert f"# firstbad: {words}" in log
    without = Lab(tmp_path, contains(history, "c33"), reverts=reverts)
    assert "proof" not in bisect(place, job_for(history, prove=False), without)[0]


def test_a_proof_goes_on_after_a_kill(history, place, tmp_path):
    """Cut off after any of its events: no run is made twice, and the same comes out."""
    whole, store, number = bisect(place, job_for(history), Lab(tmp_path, contains(history, "c33"), crash_rate=0.3))
    events = store.events(number)
    runs = sum(event.kind == "proof-run" for event in events)
    first = next(index for index, event in enumerate(events) if event.kind == "proof")
    assert runs > 4
    for cut in range(first, len(events) - 1):
        again = Store(place.database)
        other = again.submit(again.job(number).job)
        for event in events[:cut]:
            again.append(other, event.kind, event.data)
        lab = Lab(tmp_path, contains(history, "c33"), crash_rate=0.3, builds=list(history.commits.values()))
        lab.fresh.extend(history.commits.values())
        finished, _, _ = bisect(place, again.job(other).job, lab, other)
        assert finished["proof"]["verdict"] == whole["proof"]["verdict"] == "gone"
        kinds = [event.kind for event in again.events(other)]
        assert kinds.count("proof-run") == runs
        assert (kinds.count("proof"), kinds.count("proof-build"), kinds.count("proof-mark")) == (1, 1, 1)
