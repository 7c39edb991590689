"""The list of jobs, one page a job, its bisection log as text."""

import datetime
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, PlainTextResponse
from jinja2 import Environment, PackageLoader

from firstbad.errors import NotFoundError
from firstbad.home import Home
from firstbad.session import bisection_log, fold, is_running, job_state, verdict_of
from firstbad.store import Store, StoredJob

# No script, no style from elsewhere, no framing: crash reports and commit messages are hostile text.
_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}


def make_app(place: Home) -> FastAPI:
    """The application over one data directory."""
    app = FastAPI(title="firstbad", docs_url=None, redoc_url=None)
    store = Store(place.database)
    pages = Environment(loader=PackageLoader("firstbad.web"), autoescape=True)

    def page(name: str, **values: Any) -> HTMLResponse:
        return HTMLResponse(pages.get_template(name).render(**values), headers=_HEADERS)

    def stored(number: int) -> StoredJob:
        try:
            return store.job(number)
        except NotFoundError as error:
            raise HTTPException(404, str(error)) from None

    @app.get("/", response_class=HTMLResponse)
    def jobs(request: Request) -> HTMLResponse:
        return page("jobs.html", jobs=[_facts(place, store, job) for job in store.jobs()])

    @app.get("/jobs/{number}", response_class=HTMLResponse)
    def job(number: int) -> HTMLResponse:
        return page("job.html", **_facts(place, store, stored(number)))

    @app.get("/jobs/{number}/log", response_class=PlainTextResponse)
    def log(number: int) -> PlainTextResponse:
        found = stored(number)
        return PlainTextResponse(bisection_log(found.job, store.events(number)), headers=_HEADERS)

    return app


def _facts(place: Home, store: Store, stored: StoredJob) -> dict[str, Any]:
    events = store.events(stored.id)
    state = fold(events, stored.job.title)
    running = is_running(place.job(stored.id))
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
