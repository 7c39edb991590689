"""The list of jobs: filtered, searched, a page at a time."""

import time
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from firstbad.store.listing import Filter
from firstbad.store.watch import ALL
from firstbad.web.auth import Reader, projects_of
from firstbad.web.site import Site, TheSite

router = APIRouter()
STANDINGS = (
    "waiting", "running", "paused", "new", "interrupted", "reopened", "finished", "failed", "out of time", "cancelled",
)  # fmt: skip
PAGE = 50


@dataclass(frozen=True)
class Asked:
    """What a list is to show, as its address says it."""

    q: str = ""
    state: str = ""
    kind: str = ""
    project: str = ""
    before: int | None = None

    def address(self, path: str, before: int | None) -> str:
        """The same list from ``before`` on."""
        words = {"q": self.q, "state": self.state, "kind": self.kind, "project": self.project, "before": before}
        said = {name: value for name, value in words.items() if value}
        return f"{path}?{urlencode(said)}" if said else path


def asked(
    q: Annotated[str, Query(max_length=200)] = "",
    state: Annotated[str, Query(max_length=20)] = "",
    kind: Annotated[str, Query(max_length=20)] = "",
    project: Annotated[str, Query(max_length=64)] = "",
    before: Annotated[int | None, Query(ge=1, lt=1 << 31)] = None,
) -> Asked:
    """A dependency: the query."""
    q, state, kind, project = (word.replace("\0", "") for word in (q, state, kind, project))
    return Asked(q, state, kind, project, before)


Wanted = Annotated[Asked, Depends(asked)]


@router.get("/", response_class=HTMLResponse)
def job_list(site: TheSite, viewer: Reader, wanted: Wanted) -> str:
    """The jobs that the viewer may see, newest first."""
    return site.render(
        "jobs.html",
        viewer=viewer,
        here="/",
        live=True,
        asked=wanted,
        standings=STANDINGS,
        projects=projects_of(site, viewer),
        rows=rows(site, viewer.projects, wanted),
        again=wanted.address("/list", wanted.before),
    )


@router.get("/list", response_class=HTMLResponse)
def list_alone(site: TheSite, viewer: Reader, wanted: Wanted) -> str:
    """What of the page changes."""
    return rows(site, viewer.projects, wanted)


def rows(site: Site, projects: frozenset[str] | None, wanted: Asked) -> Markup:
    """The list for members of ``projects``: made once for all who look at the same, until something happens."""
    return site.lately((site.glance(ALL), projects, wanted), lambda: _rows(site, projects, wanted))


def _rows(site: Site, projects: frozenset[str] | None, wanted: Asked) -> Markup:
    found = Filter((wanted.state,) if wanted.state else (), wanted.kind, wanted.project, wanted.q, projects)
    page = site.store.page(found, wanted.before, PAGE)
    text = site.render(
        "list.html",
        page=page,
        before=wanted.before,
        filtered=bool(wanted.q or wanted.state or wanted.kind or wanted.project),
        counts=site.store.counts(projects),
        newest_address=wanted.address("/", None),
        older_address=wanted.address("/", page.older),
        now=time.time(),
    )
    return Markup(text)  # noqa: S704 - our own template
