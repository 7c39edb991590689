"""Kernel images, configurations, build logs, consoles, the reproducer."""

from fastapi import APIRouter, HTTPException
from fastapi.responses import FileResponse

from firstbad.web.api.models import ArtifactList, ArtifactOut, errors
from firstbad.web.artifacts import Artifact, artifacts_of, find
from firstbad.web.pages.seen import SeenJob
from firstbad.web.site import TheSite

router = APIRouter(prefix="/jobs/{number}/artifacts", tags=["artifacts"])
_BINARY = {"content": {"application/octet-stream": {}, "text/plain": {}}, "description": "the file"}


@router.get("", responses=errors(404))
def list_artifacts(stored: SeenJob, site: TheSite) -> ArtifactList:
    """What this server has of a job; what a worker on another host made lies there."""
    found = artifacts_of(site.home, stored, site.store.events(stored.id))
    names = list(ArtifactOut.model_fields)
    return ArtifactList(artifacts=[ArtifactOut(**{n: getattr(one, n) for n in names}) for one in found])


@router.get("/{name:path}", responses={200: _BINARY, **errors(404)}, response_class=FileResponse)
def get_artifact(name: str, stored: SeenJob, site: TheSite) -> FileResponse:
    """One file, by a name of the list."""
    found = find(site.home, stored, site.store.events(stored.id), name)
    if found is None:
        raise HTTPException(404, f"job {stored.id} has no artifact {name[:200]!r} on this server")
    return as_file(stored.id, found)


def as_file(number: int, found: Artifact) -> FileResponse:
    """To be saved, never to be shown by a browser: what is in it comes from a kernel."""
    media = "text/plain; charset=utf-8" if found.is_text else "application/octet-stream"
    saved = f"job{number}-{found.path.name}"
    return FileResponse(found.path, media_type=media, filename=saved, content_disposition_type="attachment")
