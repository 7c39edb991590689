"""People overrule what was run: a verdict, or the culprit; the search goes on from there."""

from typing import Annotated, Literal, cast

from fastapi import APIRouter, Depends, Form
from fastapi.responses import HTMLResponse, RedirectResponse

from firstbad.errors import FirstbadError
from firstbad.session import overrule
from firstbad.session.opinions import Says
from firstbad.store import StoredJob
from firstbad.web.auth import Reader, Viewer, check_form
from firstbad.web.pages.asked import back
from firstbad.web.pages.seen import OwnJob, SeenJob, changes
from firstbad.web.site import Site, TheSite
from firstbad.web.words import bug_of

router = APIRouter()


@router.get("/jobs/{number}/overrule", response_class=HTMLResponse)
def overrule_page(site: TheSite, viewer: Reader, stored: SeenJob) -> str:
    """What may be said of the job's revisions, and what was said."""
    return _page(site, viewer, stored, "")


def _page(site: Site, viewer: Viewer, stored: StoredJob, problem: str) -> str:
    with site.desk.open(stored) as known:
        story = known.story()
        standing = list(known.state.opinions)
        answers = [event.data for event in known.events if event.kind == "finished"]
    named = answers[-1] if answers and answers[-1].get("status") == "found" else None
    return site.render(
        "overrule.html",
        viewer=viewer,
        stored=stored,
        title=bug_of(stored),
        story=story,
        named=named,
        standing=standing,
        mine=changes(viewer, stored),
        problem=problem,
    )


@router.post("/jobs/{number}/overrule", dependencies=[Depends(check_form)], response_model=None)
def say(
    site: TheSite,
    viewer: Reader,
    stored: OwnJob,
    says: Annotated[Literal["good", "bad", "ignore", "wrong"], Form()],
    revision: Annotated[str, Form(max_length=200)] = "",
    why: Annotated[str, Form(max_length=overrule.LONGEST)] = "",
    undo: Annotated[bool, Form()] = False,
    on: Annotated[bool, Form(description="go on with the search")] = False,
) -> HTMLResponse | RedirectResponse:
    """Record what somebody says; the search goes on from there where that is wished."""
    try:
        who = signature(site, viewer, stored)
        if says == "wrong":
            overrule.reject(site.store, stored, who, why, undo)
        else:
            overrule.mark(site.store, stored, revision, None if undo else cast(Says, says), who, why)
    except FirstbadError as error:
        return HTMLResponse(_page(site, viewer, stored, str(error)), 400)
    if on:
        site.queue.resume(stored.id)
    return back(stored)


def signature(site: Site, viewer: Viewer, stored: StoredJob) -> str:
    """Under which name something is said: the token's, at this machine git's."""
    return overrule.signer(stored.job) if viewer.local else viewer.name
