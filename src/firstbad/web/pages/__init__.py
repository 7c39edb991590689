"""Pages for people."""

from fastapi import APIRouter

from firstbad.web.pages import evidence, job, jobs, login, stream

router = APIRouter(include_in_schema=False)
for module in (login, jobs, job, evidence, stream):
    router.include_router(module.router)
