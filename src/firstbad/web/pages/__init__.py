"""Pages for people."""

from fastapi import APIRouter

from firstbad.web.pages import asked, audit, evidence, job, jobs, login, overrule, post, stream, submit, system

router = APIRouter(include_in_schema=False)
# The last one takes any action of a job.
for module in (login, jobs, job, evidence, stream, overrule, post, audit, system, submit, asked):
    router.include_router(module.router)
