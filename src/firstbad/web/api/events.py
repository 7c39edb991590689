"""A job's events: as a list, or as they come."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from firstbad.store import Event
from firstbad.store.jobs import ENDED_STATES
from firstbad.web.api.models import EventList, EventOut, errors
from firstbad.web.pages.seen import SeenJob
from firstbad.web.site import TheSite

router = APIRouter(prefix="/jobs/{number}", tags=["events"])
_BATCH = 500
_After = Annotated[int, Query(ge=-1, le=2**31 - 1, description="number of the last event that you know")]


@router.get("/events", responses=errors(404))
def list_events(
    stored: SeenJob, site: TheSite, after: _After = -1, limit: Annotated[int, Query(ge=1, le=5000)] = 1000
) -> EventList:
    """Events in order; ask again with the last one's number as ``after``."""
    found = site.store.events(stored.id, after, limit)
    return EventList(events=[_out(event) for event in found], standing=stored.standing)


@router.get("/stream", responses=errors(404), response_class=EventSourceResponse)
async def stream_events(
    stored: SeenJob,
    site: TheSite,
    after: _After = -1,
    last_event_id: Annotated[str, Header(max_length=20, description="as `after`; set by whoever connects again")] = "",
) -> AsyncIterator[ServerSentEvent]:
    """Events as they come, as server-sent events: `fact` (an event of the job), `now` (where it is, and what is done),
    `end` (nothing more is to come, for now). Connect again where the stream ends without that."""
    known = int(last_event_id) if last_event_id.isascii() and last_event_id.isdigit() else after
    async for glance in site.hub.watch(stored.id):
        if glance is None:
            yield ServerSentEvent(comment="still here")
            continue
        while found := await run_in_threadpool(site.store.events, stored.id, known, _BATCH):
            for event in found:
                yield ServerSentEvent(event="fact", id=str(event.seq), raw_data=_out(event).model_dump_json())
            known = found[-1].seq
        now = {"standing": glance.standing, "activity": glance.activity, "since": glance.since}
        yield ServerSentEvent(event="now", data=now)
        if glance.standing in ENDED_STATES and known >= glance.seq:
            yield ServerSentEvent(event="end", data=now)
            return


def _out(event: Event) -> EventOut:
    return EventOut(seq=event.seq, time=event.time, kind=event.kind, data=event.data)
