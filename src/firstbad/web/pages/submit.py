"""Beginning a job in the browser: by fields, for any project, or by a job file; and the demo at one click."""

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from firstbad.errors import FirstbadError, UserError
from firstbad.references import to_upload
from firstbad.store.queue import PERSON
from firstbad.web.auth import Submitter, Viewer, check_token, projects_of
from firstbad.web.job_file import job_file
from firstbad.web.pages.seen import seen_job
from firstbad.web.site import Site, TheSite
from firstbad.web.submission import Wishes, accept, project_for
from firstbad.web.submit_form import from_fields, from_file, name_uploads, number

router = APIRouter()
WAYS = {"kernel": "A kernel crash", "project": "Any project's failing test", "file": "A job file"}
_MOST_TEXT = 2 << 20
_MOST_FILES = 8
_MOST_HOURS = 10_000


@router.get("/submit", response_class=HTMLResponse)
def submit_page(
    site: TheSite,
    viewer: Submitter,
    way: Annotated[str, Query(alias="as", max_length=10)] = "kernel",
    like: Annotated[int | None, Query(ge=1, lt=1 << 31)] = None,
) -> str:
    """The form; ``like``: filled with what another job asked for."""
    if like is not None:
        return _page(site, viewer, "file", {"job": job_file(seen_job(like, site, viewer).job, site.home.root)})
    return _page(site, viewer, way if way in WAYS else "kernel", {})


def _page(site: Site, viewer: Viewer, way: str, said: dict[str, str], problem: str = "") -> str:
    return site.render(
        "submit.html",
        viewer=viewer,
        here="/submit",
        ways=WAYS,
        way=way,
        said=said,
        problem=problem,
        repositories=site.access.repositories(),
        projects=projects_of(site, viewer),
        key=secrets.token_urlsafe(16),
    )


@router.post("/submit", response_model=None)
async def submit(request: Request, site: TheSite, viewer: Submitter) -> Response:
    """Take a job in. What is wrong with it is told beside the form, which is filled as it was."""
    async with request.form(max_files=_MOST_FILES, max_fields=60, max_part_size=_MOST_TEXT) as form:
        said = {name: value for name, value in form.items() if isinstance(value, str)}
        check_token(viewer, said.get("csrf", ""))
        way = said.get("as", "kernel")
        try:
            files = [(field, value) for field, value in form.multi_items() if isinstance(value, UploadFile)]
            contents = [(field, file.filename or field, await file.read()) for field, file in files if file.filename]
            number = await run_in_threadpool(_take, site, viewer, way, said, contents)
        except FirstbadError as error:
            return HTMLResponse(_page(site, viewer, way if way in WAYS else "kernel", said, str(error)), 400)
    return RedirectResponse(f"/jobs/{number}", 303)


def _take(site: Site, viewer: Viewer, way: str, said: dict[str, str], files: list[tuple[str, str, bytes]]) -> int:
    project = project_for(site, viewer, said.get("project", ""))
    uploads = {(field, name): to_upload(site.files.put(project, data), name) for field, name, data in files}
    data: dict[str, Any]
    if way == "file":
        data = from_file(said.get("job", ""))
        unused = name_uploads(data, {name: reference for (_, name), reference in uploads.items()})
        if unused:
            raise UserError(f"the job file does not name {', '.join(unused)}")
    else:
        named = {field: reference for (field, _), reference in uploads.items()}
        paths = {
            name: said[f"{name}_path"].strip() for name in ("config", "repro") if said.get(f"{name}_path", "").strip()
        }
        data = from_fields({**said, **paths, **named})
        if way == "kernel":
            _check_files(data)
    key = f"page:{said['key'][:64]}" if said.get("key") else ""
    hours = number("hours", said.get("hours", "").strip()) or 0
    if not 0 <= hours < _MOST_HOURS:
        raise UserError(f"hours: from 0 to {_MOST_HOURS}")
    return accept(site, viewer, data, Wishes(project, key, PERSON, most_seconds=3600.0 * hours)).number


def _check_files(data: dict[str, Any]) -> None:
    boots = data.get("bug", {}).get("class") == "boot"
    for name, words in (("config", "configuration"), ("repro", "reproducer")):
        if name not in data and not (boots and name == "repro"):
            raise UserError(f"{words}: choose a file")


# The demo.


@router.post("/submit/demo", response_model=None)
async def begin_demo(request: Request, site: TheSite, viewer: Submitter) -> Response:
    """Make the demo's history, then its job."""
    form: FormData = await request.form()
    check_token(viewer, str(form.get("csrf", "")))
    _local(viewer)
    site.tryout.begin(viewer.name)
    return RedirectResponse("/submit/demo", 303)


@router.get("/submit/demo", response_model=None)
def demo_page(site: TheSite, viewer: Submitter) -> Response:
    """How far it is; then the job."""
    _local(viewer)
    tryout = site.tryout
    if tryout.number is not None:
        return RedirectResponse(f"/jobs/{tryout.number}", 303)
    headers = {"Refresh": "2"} if tryout.running else {}
    page = site.render("demo.html", viewer=viewer, here="/submit", doing=tryout.doing, problem=tryout.problem)
    return HTMLResponse(page, headers=headers)


def _local(viewer: Viewer) -> None:
    if not viewer.local:
        raise HTTPException(403, "the demo can be begun at the machine itself only, and before tokens are made")
