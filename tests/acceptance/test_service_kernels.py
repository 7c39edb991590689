"""Real kernels through the queue: a worker is killed in the middle, and a second job repeats nothing of the first."""

import time
from collections import Counter

import pytest
from tests.support.daemons import wait_for, worker
from tests.support.processes import machines_of

from firstbad.demo import demo_job, make_demo
from firstbad.store import Queue, Store

pytestmark = pytest.mark.kernel
LONGEST = 1500  # seconds of one bisection


def test_a_killed_worker_and_a_second_job_of_the_same_crash(place, tmp_path):
    made = make_demo(place.root / "demo", 1)
    case = made.cases["a"]
    store = Store(tmp_path / "db")
    queue = Queue(store)
    first = queue.submit(demo_job(made, case, 0.99, verify="off")).number
    logs = [tmp_path / f"worker{i}.log" for i in range(2)]
    workers = [worker(log, str(tmp_path / "db"), place.root) for log in logs]
    try:
        wait_for(lambda: store.job(first).runs >= 2, LONGEST)
        holder = next(one for one in workers if f"/{one.process.pid}/" in store.job(first).owner)
        holder.kill()
        seen = store.events(first)
        time.sleep(1)
        wait_for(lambda: store.job(first).state == "finished", LONGEST)
        assert store.events(first)[: len(seen)] == seen
        second = queue.submit(demo_job(made, case, 0.99, verify="off")).number
        wait_for(lambda: store.job(second).state == "finished", LONGEST)
    finally:
        for one in workers:
            one.end() if one.process.poll() is None else None
    for number in (first, second):
        assert store.job(number).culprit == case.culprit
    events = [event for number in (first, second) for event in store.events(number)]
    new = Counter(event.data["key"] for event in events if event.kind == "build" and not event.data["cached"])
    assert max(new.values(), default=0) <= 1, "no kernel is built twice"
    assert not any(event.kind == "build" and not event.data["cached"] for event in store.events(second))
    reused = [event for event in store.events(second) if "reused" in event.data]
    assert reused
    assert all(event.data["reused"]["job"] == first for event in reused)
    assert machines_of(place.root) == []
    print(f"{store.job(first).cost:.0f} s, then {store.job(second).cost:.0f} s with {len(reused)} runs of the first")
