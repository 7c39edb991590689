"""The API, ``/api/v1``."""

from fastapi import APIRouter

from firstbad.web.api import artifacts, document, events, evidence, jobs, service, submit
from firstbad.web.api.models import errors

router = APIRouter(prefix="/api/v1", responses=errors(400, 401, 403, 404, 409, 413, 422, 503))
for part in (document, service, submit, jobs, events, evidence, artifacts):
    router.include_router(part.router)
