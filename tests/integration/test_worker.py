"""Workers as processes and in this one, on real git histories, with SQLite."""

import fcntl
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.daemons import GO_ON, LEASE, STOP, Process, left_over, wait_for, worker
from tests.support.postgres import free_port
from tests.support.projects import line, make_repo

from firstbad.home import Home
from firstbad.job import make_job
from firstbad.session.story import wall_seconds
from firstbad.store import Queue, Store
from firstbad.store.queue import MOST_ATTEMPTS
from firstbad.worker import Worker

COMMITS = 12


@pytest.fixture
def place(tmp_path):
    return Home(tmp_path / "home", 1 << 30)


@pytest.fixture
def store(place):
    return Store(place.database)


@pytest.fixture
def hashes(tmp_path):
    return make_repo(tmp_path / "repo.git", line(COMMITS))


def a_job(tmp_path: Path, hashes: list[str], culprit: int, seconds: float = 0.0, **more):
    """The test fails from a commit on, and takes its time; each run and build leaves a line."""
    check, built = tmp_path / "check.sh", tmp_path / "builds"
    check.write_text(
        f'#!/bin/sh\necho run >> {tmp_path}/runs\nsleep "$2"\n'
        'if git merge-base --is-ancestor "$1" HEAD; then exit 1; fi\nexit 0\n'
    )
    check.chmod(0o755)
    command = [str(check), hashes[culprit], str(seconds)]
    project = {"command": command, "build": f"echo $FIRSTBAD_COMMIT >> {built}", **more.pop("project", {})}
    ends = {"commit": hashes[-1], "good": [hashes[0]], "repo": str(tmp_path / "repo.git")}
    return make_job({**ends, "project": project, **more})


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def run(store: Store, place: Home, **more) -> None:
    Worker(store, place, **more).run(until_empty=True)


def begin(tmp_path: Path, place: Home) -> Process:
    return worker(tmp_path / f"worker{time.time_ns()}.log", str(place.database), place.root)


def test_what_another_job_built_and_ran_is_not_done_again(store, place, tmp_path, hashes):
    queue = Queue(store)
    first = queue.submit(a_job(tmp_path, hashes, 5)).number
    run(store, place)
    builds, runs = lines(tmp_path / "builds"), lines(tmp_path / "runs")
    assert sorted(builds) == sorted(set(builds))
    second = queue.submit(a_job(tmp_path, hashes, 5)).number
    other = queue.submit(a_job(tmp_path, hashes, 6)).number
    secret = queue.submit(a_job(tmp_path, hashes, 5), project="other").number
    run(store, place)
    for number, culprit in ((first, 5), (second, 5), (other, 6), (secret, 5)):
        assert store.job(number).culprit == hashes[culprit]
    after = lines(tmp_path / "builds")
    assert sorted(after) == sorted(set(after)), "what one job built the others use"
    reused = [event.data["reused"] for event in store.events(second) if "reused" in event.data]
    assert reused
    assert all(one["job"] == first for one in reused)
    assert len({one["seq"] for one in reused}) == len(reused), "a run counts once"
    confirming = {"confirm"}
    phase = ""
    for event in store.events(second):
        phase = event.data["phase"] if event.kind == "test" else phase
        if event.kind == "run":
            assert ("reused" in event.data) == (phase not in confirming), "proofs are run anew, nothing else is"
    assert not any("reused" in event.data for event in store.events(other)), "another test is another run"
    assert store.job(second).runs == store.job(first).runs
    assert len(lines(tmp_path / "runs")) > len(runs)
    assert wall_seconds(store.events(second)) < 60


def test_a_test_program_that_changed_is_another_one(store, place, tmp_path, hashes):
    queue = Queue(store)
    queue.submit(a_job(tmp_path, hashes, 5))
    run(store, place)
    job = a_job(tmp_path, hashes, 5)
    (tmp_path / "check.sh").write_text('#!/bin/sh\nif git merge-base --is-ancestor "$1" HEAD; then exit 1; fi\n')
    number = queue.submit(job).number
    run(store, place)
    assert not any("reused" in event.data for event in store.events(number))


def test_told_to_end_it_gives_its_job_back_and_leaves_nothing(store, place, tmp_path, hashes):
    number = Queue(store).submit(a_job(tmp_path, hashes, 5, 0.5)).number
    process = begin(tmp_path, place)
    wait_for(lambda: store.job(number).runs >= 1)
    since = time.monotonic()
    assert process.end() == 0
    assert time.monotonic() - since < 10
    found = store.job(number)
    assert (found.standing, found.owner, found.attempts) == ("waiting", "", 0)
    assert left_over(str(place.root)) == []
    seen = store.events(number)
    run(store, place)
    assert store.events(number)[: len(seen)] == seen
    assert store.job(number).culprit == hashes[5]


def stop_outside_of_transactions(process: Process, database: Path) -> None:
    """Who is stopped while it writes to SQLite has a lock that nobody else can take from it."""
    while True:
        process.signal(STOP)
        time.sleep(0.05)
        try:
            with database.with_name(f"{database.name}-writer").open("a+") as turn:
                fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with closing(sqlite3.connect(database, timeout=0.5)) as connection:
                    connection.execute("begin immediate")
                    connection.rollback()
            return
        except (BlockingIOError, sqlite3.OperationalError):
            process.signal(GO_ON)
            time.sleep(0.13)


def test_a_worker_that_hangs_loses_its_job_and_is_ended(store, place, tmp_path, hashes):
    queue = Queue(store)
    number = queue.submit(a_job(tmp_path, hashes, 5, 0.5)).number
    hung = begin(tmp_path, place)
    try:
        wait_for(lambda: store.job(number).runs >= 1)
        before = store.job(number).owner
        stop_outside_of_transactions(hung, place.database)
        since = time.monotonic()
        taker = begin(tmp_path, place)
        wait_for(lambda: store.job(number).owner not in ("", before))
        assert LEASE - 1 < time.monotonic() - since < LEASE + 10
        wait_for(lambda: hung.process.poll() is not None, 5)
        wait_for(lambda: store.job(number).state == "finished")
        assert taker.end() == 0
    finally:
        hung.process.kill()
    events = store.events(number)
    assert [event.seq for event in events] == list(range(len(events)))
    assert store.job(number).culprit == hashes[5]
    assert left_over(str(place.root)) == []


def test_a_worker_that_lost_its_lease_notices_and_goes_on_with_another(store, place, tmp_path, hashes):
    queue = Queue(store)
    number = queue.submit(a_job(tmp_path, hashes, 5, 0.5)).number
    process = begin(tmp_path, place)
    try:
        wait_for(lambda: store.job(number).runs >= 1)
        store.database.write(lambda c, _: c.exec_driver_sql("update jobs set token = 'x', owner = 'elsewhere/1/1'"))
        seen = store.events(number)
        later = queue.submit(a_job(tmp_path, hashes, 8)).number
        wait_for(lambda: store.job(later).state == "finished")
    finally:
        assert process.end() == 0
    assert store.events(number)[: len(seen) + 1] == seen, "what it still had to say was refused"
    assert any("given up" in row for row in lines(process.log))


def test_pausing_cancelling_and_a_budget_while_it_works(store, place, tmp_path, hashes):
    queue = Queue(store)
    number = queue.submit(a_job(tmp_path, hashes, 5, 0.5)).number
    process = begin(tmp_path, place)
    try:
        wait_for(lambda: store.job(number).runs >= 1)
        queue.pause(number)
        wait_for(lambda: store.job(number).standing == "paused", 10)
        queue.resume(number)
        wait_for(lambda: store.job(number).running)
        queue.cancel(number)
        wait_for(lambda: store.job(number).standing == "cancelled" and not store.job(number).running, 10)
        poor = queue.submit(a_job(tmp_path, hashes, 5, 1.0), most_seconds=2.5).number
        wait_for(lambda: store.job(poor).state == "out of time")
        assert store.events(poor)[-1].data["commits"]
        queue.resume(number)
        wait_for(lambda: store.job(number).state == "finished")
    finally:
        process.end()
    assert store.job(number).culprit == hashes[5]


def test_what_fails_has_failed_and_what_kills_its_workers_too(store, place, tmp_path, hashes):
    queue = Queue(store)
    bad = queue.submit(a_job(tmp_path, hashes, 5, project={"command": ["sh", "-c", "exit 200"]})).number
    gone = a_job(tmp_path, hashes, 5)
    gone.repo = tmp_path / "nowhere"
    lost = queue.submit(gone).number
    killer = queue.submit(a_job(tmp_path, hashes, 5)).number
    for number in (bad, lost):
        queue.take(number)
    for _ in range(MOST_ATTEMPTS):
        queue.release(queue.claim(), attempted=True)
    for number in (bad, lost):
        store.database.write(lambda c, _, n=number: c.exec_driver_sql(f"update jobs set token='' where id={n}"))
    run(store, place)
    found = [store.events(number)[-1].data for number in (bad, lost, killer)]
    assert [store.job(number).state for number in (bad, lost, killer)] == ["failed"] * 3
    assert "exit status 200" in found[0]["error"]
    assert "nowhere" in found[1]["error"]
    assert f"{MOST_ATTEMPTS} workers in a row" in found[2]["error"]
    assert queue.claim() is None


def test_fixes_are_searched_when_a_crash_is_quiet_and_again_when_the_head_moves(store, place, tmp_path, hashes):
    queue, repo = Queue(store), tmp_path / "repo.git"
    check = {"command": ["sh", "-c", "n=$(cat n); if [ $n -ge 3 ] && [ $n -lt 9 ]; then echo oops; exit 1; fi"]}
    job = a_job(tmp_path, hashes, 5, project=check, title="oops")
    job.commit = hashes[6]
    cause = queue.submit(job, deduplicate=True).number
    head = repo / "refs/heads/main"
    head.parent.mkdir(parents=True, exist_ok=True)
    head.write_text(hashes[8] + "\n")

    def again(days: float) -> None:
        store.database.write(
            lambda c, _: c.exec_driver_sql(f"update bugs set looked = 0, last_seen = last_seen - {days * 86400}")
        )
        store.database.write(lambda c, _: c.exec_driver_sql("update jobs set created = created - 100000"))
        run(store, place, fix_after=7)

    run(store, place, fix_after=7)
    assert store.job(cause).culprit == hashes[3]
    again(1)
    assert len(store.jobs()) == 1, "it was seen yesterday"
    again(8)
    first = store.job(cause + 1)
    assert (first.kind, first.job.head, first.submitted_by, first.status) == ("fix", hashes[8], "schedule", "not_fixed")
    again(8)
    assert len(store.jobs()) == 2, "the head is where it was"
    head.write_text(hashes[11] + "\n")
    again(0)
    second = store.job(cause + 2)
    assert (second.kind, second.status, second.culprit) == ("fix", "found", hashes[9])
    again(0)
    assert len(store.jobs()) == 3, "fixed is fixed"


def test_the_worker_beside_a_server_works_and_ends_with_it(store, place, tmp_path, hashes):
    words = ("serve", "--port", str(free_port()))
    server = Process(tmp_path / "server.log", str(place.database), place.root, *words)
    try:
        first = Queue(store).submit(a_job(tmp_path, hashes, 5)).number
        wait_for(lambda: store.job(first).state == "finished")
        assert server.end() == 0
        assert left_over(str(place.root)) == []
        server.begin()
        second = Queue(store).submit(a_job(tmp_path, hashes, 8, 1.0)).number
        wait_for(lambda: store.job(second).runs >= 1)
        server.kill()
        wait_for(lambda: left_over(str(place.root)) == [], 20, "the worker outlived its server")
    finally:
        server.process.kill()
    assert store.job(first).culprit == hashes[5]
    assert store.job(second).standing == "waiting"
