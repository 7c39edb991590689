"""What changes while somebody looks, as server-sent events.

``body``: what a job's page shows now; ``now``: what is done right now; ``changed``: more than that is another, load it.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from firstbad.store.watch import ALL, total
from firstbad.web.auth import Reader, Viewer
from firstbad.web.live import message
from firstbad.web.pages.job import now_line
from firstbad.web.pages.seen import SeenJob
from firstbad.web.site import Site, TheSite

router = APIRouter()
# After this the browser connects again, and whether it may is looked at again.
MOST_SECONDS = 300.0
JOB_PAUSE, LIST_PAUSE = 1.0, 2.0  # seconds between what one viewer is told
_RETRY, _QUIET = b"retry: 2000\n\n", b": still here\n\n"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@router.get("/stream")
async def list_stream(site: TheSite, viewer: Reader) -> StreamingResponse:
    """For the list: ``changed`` when anything happened to any job, at most every two seconds."""
    return _stream(_list_changes(site, viewer))


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


def _stream(lines: AsyncIterator[bytes]) -> StreamingResponse:
    return StreamingResponse(lines, media_type="text/event-stream", headers=_HEADERS)


async def _list_changes(site: Site, viewer: Viewer) -> AsyncIterator[bytes]:
    yield _RETRY
    first, end, known = True, time.monotonic() + MOST_SECONDS, -1
    async for glance in site.hub.watch(ALL):
        if glance is None:
            yield _QUIET
        else:
            # Of others' private jobs nobody is told, not even that something happens to them.
            limited = viewer.projects is not None
            now = await run_in_threadpool(total, site.store, viewer.projects) if limited else glance.seq
            if not first and now != known:
                yield message("changed", str(now))
                await asyncio.sleep(LIST_PAUSE)
            known = now
        first = False
        if time.monotonic() > end:
            return


async def _job_changes(site: Site, number: int, seen: int, standing: str) -> AsyncIterator[bytes]:
    yield _RETRY
    end, title = time.monotonic() + MOST_SECONDS, ""
    async for glance in site.hub.watch(number):
        if glance is None:
            yield _QUIET
        else:
            if glance.standing != standing or (title and glance.title != title):
                yield message("changed", str(glance.seq))
            elif glance.seq != seen:
                yield await site.bodies.of(number, glance)
            seen, standing, title = glance.seq, glance.standing, glance.title
            yield message("now", now_line(site, glance))
            await asyncio.sleep(JOB_PAUSE)
        if time.monotonic() > end:
            return
