"""The list of jobs: filtered, searched, a page at a time."""

import time
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from firstbad.store.listing import Filter
from firstbad.web.auth import Reader
from firstbad.web.site import TheSite

router = APIRouter()
STANDINGS = (
    "waiting", "running", "paused", "new", "interrupted", "reopened", "finished", "failed", "out of time", "cancelled",
)  # fmt: skip
PAGE = 50


@router.get("/", response_class=HTMLResponse)
def job_list(
    site: TheSite,
    viewer: Reader,
    q: Annotated[str, Query(max_length=200)] = "",
    state: Annotated[str, Query(max_length=20)] = "",
    kind: Annotated[str, Query(max_length=20)] = "",
    before: Annotated[int | None, Query(ge=1, lt=1 << 31)] = None,
) -> str:
    """The jobs that the viewer may see, newest first."""
    asked = {"q": q, "state": state, "kind": kind}
    wanted = Filter((state,) if state else (), kind, text=q, projects=viewer.projects)
    page = site.store.page(wanted, before, PAGE)

    def address(older: int | None) -> str:
        words = {name: value for name, value in {**asked, "before": older}.items() if value}
        return f"/?{urlencode(words)}" if words else "/"

    return site.render(
        "jobs.html",
        viewer=viewer,
        here="/",
        live=True,
        asked=asked,
        standings=STANDINGS,
        page=page,
        before=before,
        filtered=any(asked.values()),
        counts=site.counts(viewer.projects),
        self_address=address(before),
        newest_address=address(None),
        older_address=address(page.older),
        now=time.time(),
    )
