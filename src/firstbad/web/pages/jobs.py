"""The list of jobs, one page a job, its bisection log as text."""

import datetime
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, PlainTextResponse

from firstbad.session import bisection_log, fold, is_running, job_state, verdict_of
from firstbad.store import StoredJob
from firstbad.web.auth import Reader
from firstbad.web.site import Site, TheSite

router = APIRouter()


@router.get("/", response_class=HTMLResponse)
def job_list(site: TheSite, viewer: Reader) -> str:
    """All jobs that the viewer may see."""
    return site.render("jobs.html", viewer=viewer, jobs=[_facts(site, job) for job in site.store.jobs()])


@router.get("/jobs/{number}", response_class=HTMLResponse)
def job_page(number: int, site: TheSite, viewer: Reader) -> str:
    """One job."""
    return site.render("job.html", viewer=viewer, **_facts(site, site.store.job(number)))


@router.get("/jobs/{number}/log", response_class=PlainTextResponse)
def job_log(number: int, site: TheSite, viewer: Reader) -> str:
    """Its bisection log."""
    found = site.store.job(number)
    return bisection_log(found.job, site.store.events(number))


def _facts(site: Site, stored: StoredJob) -> dict[str, Any]:
    events = site.store.events(stored.id)
    state = fold(events, stored.job.title)
    running = is_running(site.home.job(stored.id))
    tests = [
        {
            "phase": test.data.get("release") or test.data["phase"],
            "commit": test.commit,
            "title": test.data["title"],
            "verdict": verdict_of(test),
            "runs": [run.verdict() for run in test.runs],
            "p_bug": (test.mark or {}).get("p_bug"),
        }
        for test in state.tests
    ]
    return {
        "number": stored.id,
        "job": stored.job,
        "tests": tests,
        "finished": state.finished or state.budget,
        "crash": state.crash,
        "opinions": [(_when(one.time), one.words()) for one in state.opinions.said],
        "state": job_state(events, running, stored.cancelled),
        "created": _when(stored.created),
    }


def _when(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
