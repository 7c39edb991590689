"""People overrule: marks and rejections are evidence that can be taken back, and the search goes on from there."""

import itertools

import pytest
from tests.support.lab import Lab
from tests.unit.test_session import bisect, contains, history, job_for, place, steps_of  # noqa: F401 - fixtures

from firstbad.inference import Exposure
from firstbad.session import bisection_log, fold
from firstbad.session.opinions import Opinion
from firstbad.store import Store
from firstbad.store.store import Event


def say(store: Store, number: int, commit: str, says: str, **more) -> None:
    store.append(number, "opinion", Opinion(commit, says, "A <a@example.org>", "looked", **more).to_event())


def test_a_marked_revision_moves_the_answer_and_is_not_run_again(history, place, tmp_path):  # noqa: F811
    """c30 crashes with something that looks the same: somebody knows better, and the search goes on above it."""
    old, new = contains(history, "c20"), contains(history, "c36")
    lab = Lab(tmp_path, lambda commit: old(commit))
    finished, store, number = bisect(place, job_for(history), lab)
    assert finished["commits"] == [history.commits["c20"]]
    runs, marked = len(lab.runs), [history.commits[f"c{i}"] for i in (*range(20, 36),)]
    for commit in marked:
        say(store, number, commit, "good")
    lab.has_bug = new
    again, _, _ = bisect(place, job_for(history), lab, number)
    assert again["commits"][0] == history.commits["c36"]
    assert not [name for name in lab.runs[runs:] if any(name.startswith(commit[:12]) for commit in marked)]
    kinds = [event.kind for event in store.events(number)]
    assert kinds.count("finished") == 2
    log = bisection_log(store.job(number).job, store.events(number))
    assert f"# firstbad: A <a@example.org> says: {marked[0]} good (looked)" in log


def test_a_mark_that_all_runs_contradict_does_not_decide(history, place, tmp_path):  # noqa: F811
    lab = Lab(tmp_path, contains(history, "c20"))
    _, store, number = bisect(place, job_for(history), lab)
    say(store, number, history.commits["c50"], "good")  # a slip: c20..c49 crash whenever they are run
    again, _, _ = bisect(place, job_for(history), lab, number)
    assert again["commits"] == [history.commits["c20"]]


def test_what_was_taken_back_is_as_if_it_had_not_been_said(history, place, tmp_path):  # noqa: F811
    lab = Lab(tmp_path, contains(history, "c33"))
    finished, store, number = bisect(place, job_for(history), lab)
    before, runs = fold(store.events(number)), len(lab.runs)
    say(store, number, history.commits["c33"], "ignore")
    say(store, number, history.commits["c33"], "ignore", undo=True)
    assert fold(store.events(number)).finished is None
    again, _, _ = bisect(place, job_for(history), lab, number)
    assert again["commits"] == finished["commits"]
    assert again["probabilities"] == finished["probabilities"]
    assert len(lab.runs) == runs
    exposure = Exposure(before.crash_seconds, 30)
    after = fold(store.events(number))
    assert {c: after.evidence(c, exposure) for c in after.tallies} == {
        c: before.evidence(c, exposure) for c in before.tallies
    }


def test_a_rejected_culprit_is_named_no_more_where_something_else_fits(history, place, tmp_path):  # noqa: F811
    """The bug is older, but does not show from c10 to c32."""
    shows, old = contains(history, "c33"), contains(history, "c10")
    lab = Lab(tmp_path, shows)
    finished, store, number = bisect(place, job_for(history), lab)
    assert finished["commits"] == [history.commits["c33"]]
    say(store, number, history.commits["c33"], "wrong", parents=(history.commits["c32"],))
    lab.has_bug = lambda commit: shows(commit) or (old(commit) and not commit.startswith(history.commits["c32"]))
    again, _, _ = bisect(place, job_for(history), lab, number)
    assert history.commits["c33"] not in again["commits"][:1]
    state = fold(store.events(number))
    assert state.opinions.rejected() == (history.commits["c33"],)
    assert state.finished == again


def test_the_order_of_runs_and_opinions_does_not_matter(history, place, tmp_path):  # noqa: F811
    _, store, number = bisect(place, job_for(history), Lab(tmp_path, contains(history, "c33"), crash_rate=0.5))
    events = [event for event in store.events(number) if event.kind not in ("finished",)]
    commits = [history.commits[name] for name in ("c33", "c32", "c45")]
    said = [
        Event(0, 0.0, "opinion", Opinion(commit, says, parents=()).to_event())
        for commit, says in zip(commits, ("wrong", "good", "ignore"), strict=True)
    ]
    found = []
    for order in itertools.permutations(said):
        for place_of in (0, len(events) // 2, len(events)):
            state = fold([*events[:place_of], *order, *events[place_of:]])
            exposure = Exposure(state.crash_seconds, 30)
            found.append({commit: state.evidence(commit, exposure) for commit in state.tallies})
            assert state.opinions.settled(commits[1])
    assert all(one == found[0] for one in found)


def test_an_answer_that_did_not_hear_what_was_said_is_none(history, place, tmp_path):  # noqa: F811
    """Somebody marks a revision while the last test runs: the session hears of it before it ends."""
    lab = Lab(tmp_path, contains(history, "c33"))
    store = Store(place.database)
    number = store.submit(job_for(history))
    said = []

    def speak() -> None:
        if len(lab.runs) > 12 and not said:
            said.append(say(store, number, history.commits["c3"], "ignore"))

    lab.before_run = speak
    finished, _, _ = bisect(place, job_for(history), lab, number)
    assert said
    assert finished["opinions"] == 1
    assert finished["commits"] == [history.commits["c33"]]
    early = [event for event in store.events(number) if event.kind != "opinion"]
    opinion = next(event for event in store.events(number) if event.kind == "opinion")
    unheard = [*early[:-1], opinion, Event(99, 0.0, "finished", {**early[-1].data, "opinions": 0})]
    assert fold(unheard).finished is None


@pytest.mark.parametrize("says", ["good", "ignore"])
def test_a_search_for_a_fix(history, place, tmp_path, says):  # noqa: F811
    """Good and bad are of the crash: a clean run before the fix that somebody doubts is left out."""
    gone = contains(history, "c44")
    lab = Lab(tmp_path, lambda commit: not gone(commit))
    finished, store, number = bisect(place, job_for(history, kind="fix", commit="v6.2"), lab)
    say(store, number, history.commits["c44"], says)
    again, _, _ = bisect(place, job_for(history), lab, number)
    assert (again["commits"][0] == finished["commits"][0]) == (says == "good") or len(again["commits"]) > 1
    say(store, number, history.commits["c44"], "bad")
    again, _, _ = bisect(place, job_for(history), lab, number)
    assert again["commits"][0] == history.commits["c45"]
