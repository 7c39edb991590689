"""What was asked for: the job, its reproducer, its configuration; and what can be done with a job."""

from pathlib import Path
from typing import Literal

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse, RedirectResponse

from firstbad.references import NOTHING
from firstbad.store import StoredJob
from firstbad.web.auth import Reader, check_form
from firstbad.web.job_file import job_file
from firstbad.web.pages.seen import OwnJob, SeenJob, changes
from firstbad.web.site import TheSite
from firstbad.web.words import bug_of

router = APIRouter()
SHOWN = 400_000  # letters of a file


@router.get("/jobs/{number}/input", response_class=HTMLResponse)
def input_page(site: TheSite, viewer: Reader, stored: SeenJob) -> str:
    """The job with its files."""
    job = stored.job
    with site.desk.open(stored) as known:
        chosen = known.state.config
    files = []
    if job.project is None:
        files = [("Reproducer", _text(job.repro) if job.repro != NOTHING else ("", "the machine only boots"))]
        files.append(("Configuration", _text(job.config)))
        if chosen and chosen["text"]:
            files.append(("Smaller configuration that was built with", (chosen["text"][:SHOWN], "")))
    return site.render(
        "input.html",
        viewer=viewer,
        stored=stored,
        title=bug_of(stored),
        text=job_file(job, site.home.root),
        files=files,
        mine=changes(viewer, stored),
    )


def _text(path: Path) -> tuple[str, str]:
    """A file's text, or why there is none."""
    try:
        with path.open("rb") as file:
            data = file.read(SHOWN + 1)
    except OSError as error:
        return "", f"{path.name} can't be read on this machine: {error.strerror}"
    if b"\0" in data[:4096]:
        return "", f"{path.name}: a program, {path.stat().st_size} bytes"
    cut = f"{path.name}: only its beginning is shown" if len(data) > SHOWN else ""
    return data[:SHOWN].decode("utf-8", "replace"), cut


@router.post("/jobs/{number}/{action}", dependencies=[Depends(check_form)])
def act(number: int, action: Literal["pause", "cancel", "resume"], site: TheSite, stored: OwnJob) -> RedirectResponse:
    """Pause, cancel or go on."""
    queue = site.queue
    {"pause": queue.pause, "cancel": queue.cancel, "resume": queue.resume}[action](stored.id)
    return back(stored)


def back(stored: StoredJob, part: str = "") -> RedirectResponse:
    """To the job's page, by GET."""
    return RedirectResponse(f"/jobs/{stored.id}{part}", status_code=303)
