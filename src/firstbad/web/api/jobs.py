"""Jobs: list, state, cancel, pause, go on, overrule."""

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import PlainTextResponse

from firstbad.references import stored as as_stored
from firstbad.session import bisection_log, git_log_of, overrule
from firstbad.session.result import result_json
from firstbad.store import StoredJob
from firstbad.store.listing import Filter
from firstbad.web.api.models import NAME, JobDetail, JobList, OpinionOut, Overruling, errors, summary
from firstbad.web.auth import Reader, Submitter
from firstbad.web.pages.seen import OwnJob, SeenJob
from firstbad.web.site import Site, TheSite

router = APIRouter(prefix="/jobs", tags=["jobs"])


@router.get("")
def list_jobs(
    site: TheSite,
    viewer: Reader,
    text: Annotated[str, Query(max_length=500, description="words in titles, names, submitters; or a number")] = "",
    standing: Annotated[list[str] | None, Query(max_length=20, description="any of these")] = None,
    kind: Annotated[str, Query(pattern="^(cause|fix|test)?$")] = "",
    project: Annotated[str, Query(pattern=rf"^$|{NAME}")] = "",
    before: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> JobList:
    """Jobs that you may see, newest first."""
    words = [word.replace("\0", "") for word in standing or ()]
    wanted = Filter(words, kind, project, text, viewer.projects)
    page = site.store.page(wanted, before, limit)
    return JobList(jobs=[summary(one) for one in page.jobs], older=page.older)


@router.get("/{number}", responses=errors(404))
def show_job(stored: SeenJob, site: TheSite) -> JobDetail:
    """Where a job is, what was asked for, and its result so far."""
    return detail(site, stored)


def detail(site: Site, stored: StoredJob) -> JobDetail:
    """A job with all that is said of it."""
    more = {
        "cancelled": stored.cancelled,
        "paused": stored.paused,
        "request": as_stored(stored.job.model_dump(mode="json", by_alias=True), site.home.root),
        "result": result_json(site.store, stored.id),
    }
    return JobDetail.model_validate({"id": stored.id, **summary(stored).model_dump(exclude={"job"}), **more})


@router.get("/{number}/log", responses=errors(404), response_class=PlainTextResponse)
def show_log(
    stored: SeenJob, site: TheSite, git: Annotated[bool, Query(description="for `git bisect replay`")] = False
) -> str:
    """The bisection log, as far as it is."""
    events = site.store.events(stored.id)
    as_git = git or stored.job.project is not None
    return git_log_of(stored.job, events) if as_git else bisection_log(stored.job, events)


@router.post("/{number}/cancel", responses=errors(404))
def cancel_job(stored: OwnJob, site: TheSite) -> JobDetail:
    """Give a job up; what it learned is kept."""
    site.queue.cancel(stored.id)
    return detail(site, site.store.job(stored.id))


@router.post("/{number}/pause", responses=errors(404))
def pause_job(stored: OwnJob, site: TheSite) -> JobDetail:
    """Have a job wait; what is under way is ended and repeated later."""
    site.queue.pause(stored.id)
    return detail(site, site.store.job(stored.id))


@router.post("/{number}/resume", responses=errors(404))
def resume_job(stored: OwnJob, site: TheSite) -> JobDetail:
    """Go on with a job that was paused, cancelled, failed, reopened, or ran out of time; nothing is repeated."""
    site.queue.resume(stored.id)
    return detail(site, site.store.job(stored.id))


@router.post("/{number}/opinions", status_code=201, responses=errors(404))
def overrule_job(said: Overruling, stored: OwnJob, site: TheSite, viewer: Submitter) -> OpinionOut:
    """Overrule what was run at a revision, or reject the culprit; a finished job is open again."""
    for text in (said.revision, said.why):
        check_text(text)
    if said.says == "wrong":
        opinion = overrule.reject(site.store, stored, viewer.name, said.why, said.undo)
    else:
        says: Any = None if said.undo else said.says
        opinion = overrule.mark(site.store, stored, said.revision, says, viewer.name, said.why)
    return OpinionOut(commit=opinion.commit, words=opinion.words())


def check_text(text: str) -> None:
    """Raises HTTPException for text that no database keeps."""
    if "\0" in text or (not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text)):
        raise HTTPException(422, "a text holds a NUL, or half of a character")
