"""Which commits a job is about: by a tree's own tags, and where its start was rewritten or its branch moves."""

import pytest
from tests.support.histories import History
from tests.support.lab import Lab

from firstbad.errors import NotFoundError, UserError
from firstbad.home import Home
from firstbad.job import Job, make_job
from firstbad.session import Bisection, bisection_log, find_question, history_of
from firstbad.store import Store

GONE = "0123456789abcdef0123456789abcdef01234567"


class Quiet:
    def event(self, event, state) -> None: ...
    def activity(self, text) -> None: ...


@pytest.fixture
def history(tmp_path):
    made = History(tmp_path / "repo")
    for number in range(8):
        made.commit(f"mm: c{number}")
        if number < 6 and number % 2:
            made.tag(f"acme-6.{number}", f"mm: c{number}")
    return made


def job_for(history: History, **fields) -> Job:
    config, repro = history.path.parent / "config", history.path.parent / "repro.c"
    config.write_text("CONFIG_64BIT=y\n")
    repro.write_text("int main(void) { return 0; }\n")
    return make_job({"repo": str(history.path), "config": str(config), "repro": str(repro), **fields})


def test_a_start_commit_that_was_rewritten_is_found_by_its_title(history):
    job = job_for(history, commit=GONE, commit_title="FROMLIST: mm: c6", good=[history.commits["mm: c0"]])
    question = find_question(history_of(job), job)
    assert question.start == history.commits["mm: c6"]
    assert question.rewritten == GONE
    with pytest.raises(NotFoundError, match="no commit titled 'mm: c9'"):
        find_question(history_of(job), job.model_copy(update={"commit_title": "mm: c9"}))
    there = job.model_copy(update={"commit": history.commits["mm: c5"]})
    assert find_question(history_of(there), there).rewritten == ""


def test_the_head_of_a_fix_is_where_a_rewritten_start_is_looked_for(history):
    history.git("branch", "topic", history.commits["mm: c7"])
    history.git("update-ref", "refs/heads/master", history.commits["mm: c0"])
    job = job_for(history, kind="fix", commit=GONE, commit_title="mm: c3", head="topic")
    assert find_question(history_of(job), job).start == history.commits["mm: c3"]


def test_tags_of_a_vendor(history):
    job = job_for(history, release_tags=["acme-{major}.{minor}"])
    kept = history_of(job)
    assert [tag for tag, _ in kept.releases(history.commits["mm: c7"])] == ["acme-6.5", "acme-6.3", "acme-6.1"]
    assert kept.tag(history.commits["mm: c3"]) == "acme-6.3"
    plain = job_for(history)
    with pytest.raises(UserError, match="no release tags"):
        find_question(history_of(plain), plain)
    with pytest.raises(UserError, match="release_tags"):
        history_of(job_for(history, release_tags=["acme"]))


def test_a_job_keeps_its_ends_while_branches_move(history, tmp_path):
    place = Home(tmp_path / "home", 1 << 30)
    store = Store(place.database)
    job = job_for(history, commit=GONE, commit_title="mm: c7", good=[history.commits["mm: c0"]])
    number = store.submit(job)
    bad = {history.commits[f"mm: c{i}"] for i in range(5, 8)}
    lab = Lab(tmp_path / "artifact", bad.__contains__, before_run=lambda: None)

    def session() -> Bisection:
        return Bisection(store, number, place, Quiet(), engine=lambda home, job: lab)

    session()._begin()
    history.git("update-ref", "refs/heads/master", history.commits["mm: c0"])
    found = session().run()
    assert found["commits"] == [history.commits["mm: c5"]]
    log = bisection_log(job, store.events(number))
    assert f"# firstbad: {GONE} does not exist; {history.commits['mm: c7']} has its title\n" in log


def test_who_says_to_fix_the_culprit_is_told(history, tmp_path):
    culprit = history.commits["mm: c5"]
    history.git("commit", "-q", "--allow-empty", "-m", f'mm: repair\n\nFixes: {culprit[:12]} ("mm: c5")')
    fix = history.git("rev-parse", "HEAD")
    place = Home(tmp_path / "home", 1 << 30)
    store = Store(place.database)
    start = history.commits["mm: c7"]
    job = job_for(history, commit=start, good=[history.commits["mm: c0"]])
    number = store.submit(job)
    bad = {history.commits[f"mm: c{i}"] for i in range(5, 8)}
    lab = Lab(tmp_path / "artifact", bad.__contains__)
    found = Bisection(store, number, place, Quiet(), engine=lambda home, job: lab).run()
    assert found["claims"] == [{"commit": fix, "kind": "fixes", "title": "mm: repair"}]
    log = bisection_log(job, store.events(number))
    assert f"# firstbad: {fix} says that it fixes this commit: mm: repair\n" in log
