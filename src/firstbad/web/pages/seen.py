"""The job that a page is about, if whoever asks may see it, or change it."""

from typing import Annotated

from fastapi import Depends, HTTPException

from firstbad.errors import NotFoundError
from firstbad.store import StoredJob
from firstbad.web.auth import Reader, Submitter, Viewer, check_form
from firstbad.web.site import TheSite


def seen_job(number: int, site: TheSite, viewer: Reader) -> StoredJob:
    """A job by number. Raises NotFoundError, for a private job of others as for none."""
    if not 0 < number < 1 << 31:
        raise NotFoundError(f"there is no job {number}")
    stored = site.store.job(number)
    if not viewer.sees(stored.project, stored.private):
        raise NotFoundError(f"there is no job {number}")
    return stored


SeenJob = Annotated[StoredJob, Depends(seen_job)]


def own_job(stored: SeenJob, viewer: Submitter) -> StoredJob:
    """A job that whoever asks may change. Raises HTTPException 403."""
    if not changes(viewer, stored):
        raise HTTPException(403, f"job {stored.id} belongs to the project {stored.project!r}, which is not yours")
    return stored


OwnJob = Annotated[StoredJob, Depends(own_job)]
Form = Depends(check_form)


def changes(viewer: Viewer, stored: StoredJob) -> bool:
    """Whether the viewer may change a job."""
    return viewer.may("submit") and viewer.of(stored.project)
