"""The queue, on real SQLite and real PostgreSQL."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from firstbad.errors import BusyError, LostLeaseError, NotFoundError
from firstbad.job import Job
from firstbad.store import Filter, Queue, Result, Store, listing
from firstbad.store.owner import here, is_dead, owner
from firstbad.store.queue import ROBOT, crash_key
from firstbad.store.store import Known
from firstbad.store.tables import jobs


@pytest.fixture
def job(tmp_path):
    return Job(repo=tmp_path, config=tmp_path / "c", repro=tmp_path / "r")


@pytest.fixture
def store(where):
    return Store(where)


@pytest.fixture
def queue(store):
    return Queue(store)


def test_a_person_comes_before_a_robot_and_fewer_attempts_before_more(store, queue, job):
    robot = queue.submit(job, priority=ROBOT).number
    first, second = queue.submit(job).number, queue.submit(job).number
    later = queue.submit(job, not_before=time.time() + 3600).number
    lease = queue.claim()
    assert lease.job == first
    queue.release(lease, attempted=True)
    assert [queue.claim().job for _ in range(3)] == [second, first, robot]
    assert queue.claim() is None
    assert store.job(later).standing == "waiting"


def test_the_same_key_is_the_same_job_in_its_project(store, queue, job):
    one = queue.submit(job, key="k1", project="a")
    again = queue.submit(job, key="k1", project="a")
    assert (again.number, again.new, again.why) == (one.number, False, "key")
    assert queue.submit(job, key="k1", project="b").number != one.number
    assert len(store.jobs()) == 2


def test_keys_of_requests_that_come_at_once(store, queue, job):
    found = []
    threads = [threading.Thread(target=lambda: found.append(queue.submit(job, key="k").number)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_the_same_crash_in_the_same_tree_is_looked_into_once(store, queue, job, tmp_path):
    bug = job.model_copy(update={"title": "KASAN: use-after-free Read in foo"})
    first = queue.submit(bug, deduplicate=True)
    again = queue.submit(bug.model_copy(update={"title": "KASAN: use-after-free  Read in foo "}), deduplicate=True)
    assert (again.number, again.why) == (first.number, "crash")
    assert queue.submit(bug).new, "who asks for a job of its own gets one"
    assert queue.submit(bug, project="other", deduplicate=True).new
    other = bug.model_copy(update={"repo": tmp_path / "elsewhere"})
    assert queue.submit(other, deduplicate=True).new
    assert crash_key(job) == ""
    last = queue.submit(bug, deduplicate=True).number
    store.append(last, "failed", {"error": "no", "status": "untestable"})
    assert queue.submit(bug, deduplicate=True).new, "a job that failed answers nothing"


def test_claims_of_many_at_once_are_of_different_jobs(where, store, queue, job):
    numbers = {queue.submit(job).number for _ in range(20)}
    claimed = []

    def work():
        own = Queue(Store(where))
        while (lease := own.claim()) is not None:
            claimed.append(lease.job)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(numbers)


def test_events_of_who_lost_the_lease_are_refused(store, job):
    queue = Queue(store, seconds=0.3)
    number = queue.submit(job).number
    # Of another host: of a process of this one it would be known that it is alive.
    old = queue.claim("elsewhere/1/1")
    store.append(number, "started", {"start": "a"}, token=old.token)
    assert queue.claim() is None
    assert store.job(number).standing == "running"
    time.sleep(0.4)
    assert queue.heartbeat(old), "nobody took it: it is still ours"
    time.sleep(0.4)
    new = queue.claim()
    assert new.job == number
    with pytest.raises(LostLeaseError):
        store.append(number, "run", {"wall": 1.0}, token=old.token, result=Result("run", "k", {}))
    assert not queue.heartbeat(old)
    queue.release(old)
    store.append(number, "finished", {"status": "found", "commits": ["c"], "confidence": 0.9}, token=new.token)
    assert [event.kind for event in store.events(number)] == ["started", "finished"]
    assert store.results("run", "k", "default") == []


def test_a_dead_process_of_this_host_holds_nothing(store, queue, job):
    number = queue.submit(job).number
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    began = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    name = f"{here()}/{process.pid}/{began}"
    assert queue.claim(name).job == number
    with pytest.raises(BusyError, match=f"job {number} is running .process {process.pid}."):
        queue.take(number)
    assert not is_dead(name)
    process.kill()
    process.wait()
    assert is_dead(name)
    assert not store.job(number).running
    assert queue.take(number).job == number
    assert not is_dead(owner())
    assert not is_dead("elsewhere/1/1")


def test_jobs_that_are_paused_cancelled_or_of_a_terminal_are_left_alone(store, queue, job):
    number, own = queue.submit(job).number, store.submit(job)
    queue.pause(number)
    assert queue.claim() is None
    assert store.job(number).standing == "paused"
    assert store.asked_to_stop(number) == "pause"
    queue.resume(number)
    store.cancel(number)
    assert queue.claim() is None
    assert (store.job(number).standing, store.job(own).standing) == ("cancelled", "new")
    queue.resume(number)
    queue.resume(own)
    assert {queue.claim().job, queue.claim().job} == {number, own}
    with pytest.raises(NotFoundError):
        queue.pause(99)


def test_what_ended_is_not_begun_again_unless_asked(store, queue, job):
    number = queue.submit(job).number
    lease = queue.claim()
    store.append(number, "failed", {"error": "no"}, token=lease.token)
    queue.release(lease)
    assert queue.claim() is None
    queue.resume(number)
    lease = queue.claim()
    store.append(number, "finished", {"status": "found", "commits": ["c"]}, token=lease.token)
    queue.release(lease)
    assert queue.claim() is None
    store.append(number, "opinion", {"commit": "c", "says": "wrong"})
    assert store.job(number).standing == "waiting"
    assert queue.claim().job == number


def test_attempts_count_claims_without_progress(store, queue, job):
    number = queue.submit(job).number
    queue.release(queue.claim(), attempted=True)
    lease = queue.claim()
    assert lease.attempts == 2
    store.append(number, "build", {"commit": "c", "seconds": 1.0}, token=lease.token)
    assert store.job(number).attempts == 0
    queue.release(lease)
    assert store.job(number).attempts == 0


def test_a_budget_holds_jobs_back(store, queue, job):
    queue.set_budget("a", running=1)
    one, two = queue.submit(job, project="a").number, queue.submit(job, project="a").number
    other = queue.submit(job, project="b").number
    first = queue.claim()
    assert (first.job, queue.claim().job, queue.claim()) == (one, other, None)
    queue.release(first)
    assert queue.claim().job == one
    queue.set_budget("a", seconds=100)
    lease = queue.claim()
    assert (lease.job, 99 < lease.left <= 100) == (two, True)
    store.database.write(lambda c, _: c.execute(sa.update(jobs).where(jobs.c.id == one).values(worked=100.0)))
    queue.submit(job, project="a")
    assert queue.claim() is None
    found = queue.budgets()[0]
    assert (found.project, found.seconds, found.used >= 100, found.now) == ("a", 100.0, True, 2)
    queue.set_budget("a")
    assert queue.claim() is not None


def test_seconds_of_work_are_counted_and_end_a_job(store, job):
    queue = Queue(store)
    queue.submit(job, most_seconds=50)
    lease = queue.claim()
    assert lease.left == 50
    time.sleep(0.2)
    queue.heartbeat(lease)
    time.sleep(0.2)
    queue.release(lease)
    assert 0.35 < store.job().worked < 5
    assert queue.claim().left == pytest.approx(50 - store.job().worked, abs=0.1)


def test_results_are_found_by_key_and_not_by_those_who_may_not_see_the_job(store, queue, job):
    number = queue.submit(job.model_copy(update={"private": True}), project="a").number
    store.append(number, "run", {"wall": 1.0}, result=Result("run", "k", {"ended": "ok"}))
    open_one = queue.submit(job).number
    store.append(open_one, "run", {"wall": 1.0}, result=Result("run", "k", {"ended": "no"}))
    mine, all_see = (
        Known(job, 0, {"wall": 1.0}, {"ended": ended}) for job, ended in ((number, "ok"), (open_one, "no"))
    )
    assert store.results("run", "k", "a") == [mine, all_see]
    assert store.results("run", "k", "b") == [all_see]
    assert store.results("build", "k", "a") == []


def test_lists_are_filtered_searched_and_paged(store, queue, job):
    numbers = [queue.submit(job.model_copy(update={"title": f"BUG number {i}"})).number for i in range(7)]
    hidden = queue.submit(job.model_copy(update={"private": True, "title": "100%_secret"}), project="a").number
    page = store.page(Filter(projects=["b"]), limit=3)
    assert [one.id for one in page.jobs] == numbers[:3:-1]
    assert [one.id for one in store.page(Filter(projects=["b"]), page.older, 50).jobs] == numbers[3::-1]
    assert store.page(Filter(projects=["b"]), numbers[0]).jobs == []
    assert [one.id for one in store.page(Filter(projects=["a"]), limit=1).jobs] == [hidden]
    assert [one.id for one in store.page(Filter(text="bug NUMBER 3")).jobs] == [numbers[3]]
    assert [one.id for one in store.page(Filter(text="100%_")).jobs] == [hidden]
    assert store.page(Filter(text="%%%")).jobs == []
    assert [one.id for one in store.page(Filter(text=str(hidden))).jobs] == [hidden]
    store.append(numbers[0], "finished", {"status": "found", "commits": ["c0ffee"], "title": "x: y", "confidence": 1})
    found = store.page(Filter(text="c0ff", standing=["finished"])).jobs[0]
    assert (found.id, found.culprit_title, found.standing) == (numbers[0], "x: y", "finished")
    queue.claim()
    assert store.counts() == {"waiting": 6, "finished": 1, "running": 1}
    assert store.counts(["b"]) == {"waiting": 5, "finished": 1, "running": 1}
    assert [one.id for one in store.page(Filter(standing=["running"], kind="cause")).jobs] == [numbers[1]]


def test_hostile_text_in_what_lists_show(store, queue, job):
    number = queue.submit(job.model_copy(update={"title": "a\0b"}), submitted_by="x\0\udc80").number
    store.append(number, "crash", {"title": "\0\udc80\x1b[31m" + "y" * 9999, "report": "\0"})
    found = store.job(number)
    assert "\0" not in found.title + found.submitted_by
    assert len(found.title) == 500
    assert store.events(number)[0].data["report"] == "\0"
    assert store.page(Filter(text="\0zz\udc80")).jobs == []


def test_all_jobs_are_read_a_page_at_a_time(store, job, monkeypatch):
    monkeypatch.setattr(listing, "MOST", 3)
    numbers = [store.submit(job) for _ in range(7)]
    assert [one.id for one in store.each()] == numbers[::-1]


def test_a_claim_looks_at_the_next_jobs_alone(tmp_path):
    queue = Queue(Store(tmp_path / "db"))
    words = str(queue._claim("a", "b", False).compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
    plan = queue.database.read(lambda c: [row[3] for row in c.exec_driver_sql(f"explain query plan {words}")])
    assert any("USING INDEX jobs_waiting" in step for step in plan), "in its order: nothing is sorted"
    assert not any("TEMP B-TREE" in step for step in plan)
