"""Pages for people."""

from fastapi import APIRouter

from firstbad.web.pages import jobs

router = APIRouter(include_in_schema=False)
router.include_router(jobs.router)
