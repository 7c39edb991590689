"""A job's page: the answer, where the culprit may be, what runs now, the evidence. It changes while it is looked at."""

import time
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, PlainTextResponse
from markupsafe import Markup

from firstbad.session import bisection_log, git_log_of
from firstbad.store import StoredJob
from firstbad.store.jobs import ENDED_STATES
from firstbad.store.watch import Glance, workers
from firstbad.web.auth import Reader, Viewer
from firstbad.web.pages.seen import SeenJob, changes
from firstbad.web.site import Site, TheSite
from firstbad.web.words import bug_of, date

router = APIRouter()
_ALIVE = 90.0  # seconds since its last sign of life for which a worker is taken to be there


@router.get("/jobs/{number}", response_class=HTMLResponse)
def job_page(site: TheSite, viewer: Reader, stored: SeenJob) -> str:
    """One job."""
    return site.render("job.html", live=True, **_values(site, viewer, stored))


@router.get("/jobs/{number}/live", response_class=HTMLResponse)
def job_live(site: TheSite, viewer: Reader, stored: SeenJob) -> str:
    """What of the page changes."""
    return site.render("live.html", **_values(site, viewer, stored))


@router.get("/jobs/{number}/history", response_class=HTMLResponse)
def job_history(site: TheSite, viewer: Reader, stored: SeenJob) -> str:
    """The belief over the history, drawn from the repository, for jobs whose events don't hold it: takes seconds."""
    with site.desk.open(stored) as known:
        story = known.story(picture=True)
    return site.render("history.html", story=story)


@router.get("/jobs/{number}/log", response_class=HTMLResponse)
def job_log(site: TheSite, viewer: Reader, stored: SeenJob) -> str:
    """Its bisection log as a page."""
    return site.render("log.html", viewer=viewer, stored=stored, title=bug_of(stored), text=_log(site, stored))


@router.get("/jobs/{number}/log.txt", response_class=PlainTextResponse)
def job_log_text(site: TheSite, viewer: Reader, stored: SeenJob) -> str:
    """The bisection log as a file."""
    return _log(site, stored)


@router.get("/jobs/{number}/git.log", response_class=PlainTextResponse)
def job_git_log(site: TheSite, viewer: Reader, stored: SeenJob) -> str:
    """What `git bisect replay` takes."""
    return _git_log(site, stored)


def _git_log(site: Site, stored: StoredJob) -> str:
    with site.desk.open(stored) as known:
        return known.once("git", lambda: git_log_of(stored.job, known.events))


def _log(site: Site, stored: StoredJob) -> str:
    if stored.job.project is not None:
        return _git_log(site, stored)
    with site.desk.open(stored) as known:
        return known.once("log", lambda: bisection_log(stored.job, known.events))


def _values(site: Site, viewer: Viewer, stored: StoredJob) -> dict[str, Any]:
    return {
        "viewer": viewer,
        "stored": stored,
        "title": bug_of(stored),
        "actions": _actions(stored) if changes(viewer, stored) else (),
        "now_line": Markup(now_line(site, site.glance(stored.id))),  # noqa: S704 - our own template
        "body": site.body(stored),
        "waits": _waits(site, stored),
    }


def _waits(site: Site, stored: StoredJob) -> str:
    """What a job waits for."""
    if stored.standing == "waiting":
        if stored.not_before > time.time():
            return f"It is not to begin before {date(stored.not_before)}."
        alive = any(one.state == "working" or time.time() - one.seen < _ALIVE for one in workers(site.store))
        return (
            "A worker begins when it is its turn." if alive else "No worker is there to begin: start `firstbad worker`."
        )
    if stored.standing in ("new", "interrupted", "reopened"):
        return "Nobody works on it; with 'Go on' a worker does."
    return ""


def now_line(site: Site, glance: Glance) -> str:
    """What runs right now, on one line."""
    since = time.time() - glance.since if glance.since else 0.0
    text = site.render("now.html", running=glance.standing == "running", activity=glance.activity, since=since,
                       worker=glance.worker)  # fmt: skip
    return " ".join(text.split())


def _actions(stored: StoredJob) -> list[tuple[str, str, str]]:
    """What can be done with a job now: where to post, in which words, how it looks."""
    if stored.standing in ("running", "waiting"):
        return [("pause", "Pause", ""), ("cancel", "Cancel", "danger")]
    if stored.standing == "finished":
        return []
    go_on = ("resume", "Go on", "main")
    return [go_on] if stored.standing in ENDED_STATES else [go_on, ("cancel", "Cancel", "danger")]
