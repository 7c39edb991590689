"""Live pages: one look at the database for all viewers, told when something changes."""

import asyncio

from tests.support.stories import finished_job

from firstbad.errors import InfrastructureError
from firstbad.store.watch import ALL, Glance, glances
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


def test_glances(tmp_path):
    done = finished_job(tmp_path)
    found = glances(done.store, [1, 99, ALL])
    assert found[1].standing == "finished"
    assert found[1].seq == done.store.job(1).seq
    assert 99 not in found
    done.store.append(1, "told", {})
    again = glances(done.store, [1, ALL])
    assert again[1].seq == found[1].seq + 1
    assert again[ALL] != found[ALL]
