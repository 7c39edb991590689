"""Live pages: one look at the database for all viewers, told when something changes."""

import asyncio
import os
import socket

from firstbad.errors import InfrastructureError
from firstbad.job import Job
from firstbad.store import Queue, Store
from firstbad.store.crew import Sign
from firstbad.store.watch import ALL, Glance, glances, workers
from firstbad.web.hub import Hub


def test_one_look_for_all_viewers():
    looked, facts = [], {1: Glance(0), 2: Glance(5)}

    def look(numbers):
        looked.append(set(numbers))
        return {number: facts[number] for number in numbers if number in facts}

    async def viewer(hub, number, wanted):
        seen = []
        async for glance in hub.watch(number):
            seen.append(glance.seq)
            if len(seen) == wanted:
                break
        return seen

    async def scene():
        hub = Hub(look, period=0.01)
        viewers = [asyncio.create_task(viewer(hub, 1, 2)) for _ in range(50)]
        other = asyncio.create_task(viewer(hub, 2, 1))
        await asyncio.sleep(0.1)
        before = len(looked)
        facts[1] = Glance(7)
        seen = await asyncio.wait_for(asyncio.gather(*viewers), 5)
        await asyncio.wait_for(other, 5)
        await asyncio.sleep(0.1)
        after = len(looked)
        await asyncio.sleep(0.1)
        return seen, before, after, len(looked)

    seen, before, after, end = asyncio.run(scene())
    assert seen == [[0, 7]] * 50
    assert before < 25, "looks don't grow with viewers"
    assert {1, 2} in looked
    assert after == end, "nobody looks when nobody watches"


def test_quiet_is_told_and_a_database_that_is_away_ends_nothing():
    calls = []

    def look(numbers):
        calls.append(1)
        if len(calls) < 3:
            raise InfrastructureError("away")
        return {1: Glance(3)}

    async def scene():
        hub, seen = Hub(look, period=0.05), []
        async for glance in hub.watch(1, patience=0.03):
            seen.append(glance)
            if glance is not None:
                hub.stop()
        return seen

    seen = asyncio.run(asyncio.wait_for(scene(), 10))
    assert seen[0] is None
    assert seen[-1] == Glance(3)


def test_glances_and_workers(where, tmp_path):
    store = Store(where)
    queue = Queue(store)
    job = Job(repo=tmp_path, config=tmp_path, repro=tmp_path, title="KASAN: x")
    number = queue.submit(job).number
    before = glances(store, [number, 99, ALL])
    assert before[number] == Glance(-1, "waiting", title="KASAN: x")
    assert 99 not in before
    lease = queue.claim()
    sign = Sign(store, {"version": "1"})
    sign.tell("working", number, activity="building abc", since=12.5)
    store.append(number, "started", {"start": "a" * 40, "head": "", "kind": "cause"}, lease.token)
    after = glances(store, [number, ALL])
    assert after[number] == Glance(0, "running", "building abc", 12.5, socket.gethostname(), "KASAN: x")
    assert after[ALL] != before[ALL]
    (row,) = workers(store)
    assert (row.state, row.job, row.pid, row.data["version"]) == ("working", number, os.getpid(), "1")
    sign.tell("idle", None, activity="")
    assert glances(store, [number])[number].activity == ""
