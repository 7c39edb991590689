"""`firstbad log --git`: a real `git bisect replay` takes it and ends at our answer."""

import pytest
from tests.support.lab import Lab
from tests.support.replay import replay
from tests.unit.test_session import bisect, contains, history, job_for, place  # noqa: F401 - fixtures

from firstbad.errors import UserError
from firstbad.history.git import Repo
from firstbad.session import git_log_of
from firstbad.session.opinions import Opinion
from firstbad.session.state import fold
from firstbad.store import Store


def log_of(store, number):
    return git_log_of(store.job(number).job, store.events(number))


@pytest.mark.parametrize("culprit", ["c1", "c17", "c33", "s3", "c40", "c59"])
def test_replay_ends_at_the_culprit(history, place, tmp_path, culprit):  # noqa: F811
    finished, store, number = bisect(place, job_for(history), Lab(tmp_path, contains(history, culprit)))
    assert finished["commits"] == [history.commits[culprit]]
    text = log_of(store, number)
    assert f"{history.commits[culprit]} is the first bad commit" in replay(history.path, text, tmp_path)
    assert (f"# first bad commit: [{history.commits[culprit]}] {culprit}\n" in text) == (finished["status"] == "found")


@pytest.mark.parametrize("culprit", ["c44", "s3", "c59"])
def test_replay_of_a_fix(history, place, tmp_path, culprit):  # noqa: F811
    gone = contains(history, culprit)
    start = "v6.1" if culprit == "s3" else "v6.2"
    lab = Lab(tmp_path, lambda commit: not gone(commit))
    finished, store, number = bisect(place, job_for(history, kind="fix", commit=start), lab)
    assert finished["commits"] == [history.commits[culprit]]
    text = log_of(store, number)
    assert "good means that the crash is there" in text
    assert f"{history.commits[culprit]} is the first bad commit" in replay(history.path, text, tmp_path)


def test_replay_of_a_fix_on_another_branch(history, place, tmp_path):  # noqa: F811
    gone = contains(history, "c44")
    lab = Lab(tmp_path, lambda commit: not gone(commit))
    job = job_for(history, kind="fix", commit=history.commits["t3"])
    _, store, number = bisect(place, job, lab)
    said = replay(history.path, log_of(store, number), tmp_path)
    assert f"{history.commits['c44']} is the first bad commit" in said


def test_a_verdict_that_was_overruled_is_told_as_it_is_believed_now(history, place, tmp_path):  # noqa: F811
    """Of a flaky bug some revision comes out clean at first: git, told of every verdict, would end elsewhere."""
    overruled = 0
    for seed in range(4):
        lab = Lab(tmp_path, contains(history, "c22"), crash_rate=0.3, stranger_rate=0.1, seed=seed)
        finished, store, number = bisect(place, job_for(history), lab)
        if finished["status"] != "found":
            continue
        state = fold(store.events(number))
        marks = {(test.commit, test.mark["verdict"]) for test in state.tests if test.mark}
        overruled += any((commit, "good") in marks for commit, verdict in marks if verdict == "bad")
        said = replay(history.path, log_of(store, number), tmp_path)
        assert f"{finished['commits'][0]} is the first bad commit" in said
    assert overruled, "no seed had a verdict to be overruled: this test shows nothing"


def test_replay_goes_on_where_a_job_has_no_commit_yet(history, place, tmp_path):  # noqa: F811
    """Only candidates: git would try the ones of them that the job took for broken as well."""
    names = [f"c{i}" for i in (20, 21, 22, 23)]
    lab = Lab(tmp_path, contains(history, "c22"), broken=frozenset(history.commits[name] for name in names))
    finished, store, number = bisect(place, job_for(history), lab)
    assert finished["status"] == "candidates"
    said = replay(history.path, log_of(store, number), tmp_path)
    assert any(commit in said for commit in finished["commits"])
    assert "is the first bad commit" not in said


def test_what_people_say_is_told_too(history, place, tmp_path):  # noqa: F811
    _, store, number = bisect(place, job_for(history), Lab(tmp_path, contains(history, "c22")))
    for name, says in (("c21", "ignore"), ("c12", "good")):
        said = Opinion(history.commits[name], says, "A <a@example.org>", "x\ngit bisect reset")
        store.append(number, "opinion", said.to_event())
    finished, _, _ = bisect(place, job_for(history), Lab(tmp_path, contains(history, "c22")), number)
    text = log_of(store, number)
    assert f"A <a@example.org> says: {history.commits['c12']} good (x git bisect reset)" in text
    assert f"git bisect good {history.commits['c12']}\n" in text
    # Whether c21 crashes is open again, for us and for git.
    assert set(finished["commits"]) == {history.commits["c21"], history.commits["c22"]}
    said = replay(history.path, text, tmp_path)
    assert "only 'skip'ped commits left" in said
    assert all(commit in said for commit in finished["commits"])


def test_a_bug_that_is_older_leaves_git_without_a_good_revision(history, place, tmp_path):  # noqa: F811
    _, store, number = bisect(place, job_for(history), Lab(tmp_path, lambda commit: True))
    text = log_of(store, number)
    assert "git bisect good" not in text
    assert "waiting for good commit" in replay(history.path, text, tmp_path)


def test_what_can_not_be_replayed(history, place, tmp_path):  # noqa: F811
    store = Store(place.database)
    with pytest.raises(UserError, match="nothing is tested yet"):
        log_of(store, store.submit(job_for(history)))
    with pytest.raises(UserError, match="test of one revision"):
        log_of(store, store.submit(job_for(history, kind="test")))
    _, store, number = bisect(place, job_for(history, kind="fix", commit="v6.2"), Lab(tmp_path, lambda commit: True))
    with pytest.raises(UserError, match="not known to be gone at the head"):
        log_of(store, number)


def test_titles_are_one_line_each(place, tmp_path):  # noqa: F811
    from tests.support.histories import History

    made = History(tmp_path / "hostile")
    for number in range(6):
        made.commit(f"c{number} \x1b[2J' git bisect bad HEAD\r# x")
        if not number:
            made.tag("v6.0", next(iter(made.commits)))
    names = list(made.commits)
    finished, store, number = bisect(place, job_for(made), Lab(tmp_path, contains(made, names[3])))
    text = log_of(store, number)
    assert all(line.startswith(("# ", "git bisect ")) for line in text.splitlines())
    assert "\x1b" not in text
    assert f"{finished['commits'][0]} is the first bad commit" in replay(made.path, text, tmp_path)
    assert Repo(made.path).resolve(finished["commits"][0]) == made.commits[names[3]]
