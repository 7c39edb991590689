"""What changes while somebody looks, as server-sent events: ``changed`` (there is more to see), ``now`` (what is done
right now)."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from firstbad.store.watch import ALL
from firstbad.web.auth import Reader
from firstbad.web.pages.job import now_line
from firstbad.web.pages.seen import SeenJob
from firstbad.web.site import Site, TheSite

router = APIRouter()
# After this the browser connects again, and whether it may is looked at again.
MOST_SECONDS = 300.0
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@router.get("/stream")
async def list_stream(site: TheSite, viewer: Reader) -> StreamingResponse:
    """For the list: ``changed`` when anything happened to any job, at most every two seconds."""
    return _stream(_list_changes(site))


@router.get("/jobs/{number}/stream")
async def job_stream(
    site: TheSite,
    viewer: Reader,
    stored: SeenJob,
    seen: Annotated[int, Query(ge=-1, lt=1 << 31)] = -1,
    standing: Annotated[str, Query(max_length=20)] = "",
) -> StreamingResponse:
    """For a job's page, which shows the events up to ``seen`` of a job that was ``standing`` so."""
    return _stream(_job_changes(site, stored.id, seen, standing))


def _stream(lines: AsyncIterator[str]) -> StreamingResponse:
    return StreamingResponse(lines, media_type="text/event-stream", headers=_HEADERS)


def _event(name: str, data: str) -> str:
    return f"event: {name}\ndata: {data}\n\n"


async def _list_changes(site: Site) -> AsyncIterator[str]:
    yield "retry: 2000\n\n"
    first, end = True, time.monotonic() + MOST_SECONDS
    async for glance in site.hub.watch(ALL):
        if glance is None:
            yield ": still here\n\n"
        elif not first:
            yield _event("changed", str(glance.seq))
            await asyncio.sleep(2)
        first = False
        if time.monotonic() > end:
            return


async def _job_changes(site: Site, number: int, seen: int, standing: str) -> AsyncIterator[str]:
    yield "retry: 2000\n\n"
    end = time.monotonic() + MOST_SECONDS
    async for glance in site.hub.watch(number):
        if glance is None:
            yield ": still here\n\n"
        else:
            if (glance.seq, glance.standing) != (seen, standing):
                seen, standing = glance.seq, glance.standing
                yield _event("changed", str(seen))
            yield _event("now", now_line(site, glance))
        if time.monotonic() > end:
            return
