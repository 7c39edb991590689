"""Pages for people."""

from fastapi import APIRouter

from firstbad.web.pages import evidence, job, jobs, stream

router = APIRouter(include_in_schema=False)
for module in (jobs, job, evidence, stream):
    router.include_router(module.router)
