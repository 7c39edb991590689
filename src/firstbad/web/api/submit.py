"""Submitting jobs, and uploading what they name."""

import asyncio
import hashlib
import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, HTTPException, Query, Request, Response
from starlette.datastructures import UploadFile

from firstbad.errors import UserError
from firstbad.job import Job
from firstbad.job_text import parse_toml
from firstbad.references import fields, to_upload
from firstbad.store.queue import PERSON, ROBOT
from firstbad.web.api.models import NAME, Submitted, Uploaded, errors
from firstbad.web.auth import Reader, Submitter
from firstbad.web.site import Site, TheSite
from firstbad.web.submission import MOST_LETTERS, Wishes, accept, project_for

router = APIRouter()
_PARTS = 24  # of a form
_Project = Annotated[str, Query(pattern=rf"^$|{NAME}", description="empty: yours")]


def _body() -> dict[str, Any]:
    schema = Job.model_json_schema(by_alias=True, ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    form = {
        "type": "object",
        "required": ["job"],
        "properties": {"job": {"type": "string", "description": "job file, TOML or JSON"}},
        "additionalProperties": {"type": "string", "format": "binary", "description": "a file, by the name in the job"},
    }
    content = {
        "application/json": {"schema": {"$ref": "#/components/schemas/Job"}},
        "application/toml": {"schema": {"type": "string", "description": "a job file"}},
        "multipart/form-data": {"schema": form},
    }
    return {"required": True, "content": content}


def wishes(
    project: _Project = "",
    priority: Annotated[int | None, Query(ge=PERSON, le=100, description="lower goes first; 10: a robot's")] = None,
    not_before: Annotated[float, Query(ge=0, le=1e11, allow_inf_nan=False)] = 0.0,
    most_seconds: Annotated[float, Query(ge=0, le=1e9, allow_inf_nan=False, description="of work; 0: no limit")] = 0.0,
    deduplicate: Annotated[bool, Query(description="the same crash in the same tree is the same job")] = False,
    idempotency_key: Annotated[str, Header(max_length=200, description="the same key gives the same job")] = "",
) -> Wishes:
    """How the job is queued."""
    level = ROBOT if priority is None else priority
    return Wishes(project, idempotency_key, level, not_before, most_seconds, deduplicate)


@router.post(
    "/jobs",
    status_code=201,
    tags=["jobs"],
    responses={200: {"model": Submitted, "description": "known already"}, **errors(400, 404, 413, 415)},
    openapi_extra={"requestBody": _body()},
)
async def submit_job(
    request: Request, response: Response, site: TheSite, viewer: Submitter, how: Annotated[Wishes, Depends(wishes)]
) -> Submitted:
    """Submit a job: as JSON, as a job file, or as a form with both the job and the files that it names.

    Files are named `sha256:DIGEST/NAME` (uploaded before) or, in a form, by the name of the part; ``repo`` is the name
    of a repository that the service knows.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == "multipart/form-data":
        data = await _form(request, site, project_for(site, viewer, how.project))
    elif kind in ("application/json", "application/toml"):
        data = _parsed(await request.body(), kind == "application/toml")
    else:
        raise HTTPException(415, "send application/json, application/toml or multipart/form-data")
    made = await asyncio.to_thread(accept, site, viewer, data, how)
    response.status_code = 201 if made.new else 200
    return Submitted(job=made.number, new=made.new, why=made.why)


def _parsed(body: bytes, toml: bool) -> dict[str, Any]:
    if len(body) > MOST_LETTERS:
        raise HTTPException(413, f"a job of more than {MOST_LETTERS >> 20} MiB; upload files instead")
    try:
        text = body.decode()
        data = parse_toml(text, "job") if toml else json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise UserError(f"job: not {'TOML' if toml else 'JSON'}: {str(error)[:200]}") from None
    if not isinstance(data, dict):
        raise UserError("job: not an object")
    return data


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


async def _form(request: Request, site: Site, project: str) -> dict[str, Any]:
    """The job of a form, its files uploaded and named by their digests."""
    async with request.form(max_files=_PARTS, max_fields=_PARTS, max_part_size=MOST_LETTERS) as form:
        job = form.get("job")
        text = await job.read(MOST_LETTERS + 1) if isinstance(job, UploadFile) else str(job or "").encode()
        data = _parsed(text, not text.lstrip().startswith(b"{"))
        for field, value, put, is_directory in fields(data):
            part = form.get(value)
            if not is_directory and isinstance(part, UploadFile):
                digest = await asyncio.to_thread(site.files.put, project, await part.read())
                put(to_upload(digest, part.filename or field))
    return data


@router.post(
    "/files",
    status_code=201,
    tags=["files"],
    responses=errors(400, 413),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def upload_file(
    request: Request,
    site: TheSite,
    viewer: Submitter,
    project: _Project = "",
    name: Annotated[str, Query(max_length=200, description="what the file is called; its ending may matter")] = "file",
) -> Uploaded:
    """Upload a file that a job will name; kept for a day, and as long as a job needs it."""
    chosen, data = project_for(site, viewer, project), await request.body()
    digest = await asyncio.to_thread(site.files.put, chosen, data)
    return Uploaded(file=to_upload(digest, name), size=len(data))


@router.get("/files/{digest}", tags=["files"], responses=errors(404))
def has_file(digest: str, site: TheSite, viewer: Reader, project: _Project = "") -> Uploaded:
    """Whether a file was uploaded: ``digest`` is its SHA-256, hex."""
    known = hashlib.new("sha256").digest_size * 2 == len(digest) and digest.isalnum() and digest.isascii()
    size = site.files.size(project_for(site, viewer, project), digest) if known else None
    if size is None:
        raise HTTPException(404, "no such file was uploaded for this project")
    return Uploaded(file=to_upload(digest, "file"), size=size)
