"""``test``: does this revision, with this patch, still crash?"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from firstbad.cli.bisect import check
from firstbad.cli.export import Outputs, outputs_of
from firstbad.cli.job_options import job_options, overrides
from firstbad.cli.output import tell
from firstbad.cli.remote import Server, chosen
from firstbad.cli.run import finish_job
from firstbad.cli.status import epilog
from firstbad.cli.submit import send_and_await, send_job
from firstbad.cli.watch import follow
from firstbad.errors import UserError
from firstbad.history.git import Repo
from firstbad.history.patch import PatchError, check_patch, read_patch
from firstbad.history.releases import base_release
from firstbad.home import home
from firstbad.job import Job, make_job, merged, read_job, validated
from firstbad.kernel.fixes import Fixer, fixes_for
from firstbad.scratch import scratch
from firstbad.session import learned
from firstbad.session.result import Jobs
from firstbad.store import Store, open_store

Make = Callable[[dict[str, Any], str], Job]
"""Makes a job and says what is wrong with it; a server's files are not here to be looked at."""


@click.command(epilog=epilog("test", "firstbad test 3 --patch fix.diff"))
@click.argument("job", metavar="[JOB]", required=False)
@job_options("test")
def test(**options: Any) -> None:
    """Does a revision, maybe with a patch, still crash?

    JOB is the number of a job that saw the crash, whose crash rate and bug are used, or a job file. Without one it
    takes the options of `firstbad cause`, and measures the crash rate at --start first or assumes one. Runs are made
    until the crash is seen, or until so many clean ones would be improbable if the bug were there (--target). The exit
    status is as `git bisect run` reads it.
    """
    named, as_json, plain, start = (options.pop(key) for key in ("job", "as_json", "plain", "start"))
    deadline, outputs = options.pop("deadline"), outputs_of(options)
    server = chosen()
    if server is not None:
        _test_there(server, named, options, start, as_json, plain, deadline, outputs)
        return
    place = home()
    store = open_store(place) if named and named.isdigit() else None
    job, reference, start = _job(store, named, options, start)
    first = _changed(job, "", commit=start, measure=True) if start else None
    for one in (first, job):
        if one is not None:
            check(one, place)
    _check_patch(job)
    store = store or open_store(place)
    reference = reference or (_same(store, job) if named and not first else 0)
    if first is not None:
        reference = store.submit(first)
    job = _changed(job, job.test.patch, reference=reference)
    if not reference:
        tell("firstbad: no crash rate is known; one is assumed (--start REV measures it)")
    outputs.check(job)
    finish_job(store, place, store.submit(job), as_json, plain, deadline, outputs)


def _test_there(
    server: Server,
    named: str | None,
    options: dict[str, Any],
    start: str | None,
    as_json: bool,
    plain: bool,
    deadline: float | None,
    outputs: Outputs,
) -> None:
    """The same by a server. What fits the repository is found out there."""
    job, reference, start = _job(server if named and named.isdigit() else None, named, options, start, validated)
    if start:
        first = _changed(job, "", validated, commit=start, measure=True)
        reference = send_job(server, _plain(first), deadline)
        follow(server, reference, plain or as_json)
    job = _changed(job, job.test.patch, validated, reference=reference)
    send_and_await(server, _plain(job), as_json, plain, deadline, outputs)


def _plain(job: Job) -> dict[str, Any]:
    return job.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _job(
    store: Jobs | None, named: str | None, options: dict[str, Any], start: str | None, make: Make = make_job
) -> tuple[Job, int, str]:
    """The test, the job whose bug it is, and where the crash rate is measured first; 0 and empty without."""
    rev, patch = options.pop("rev"), _patch(options.pop("patch"))
    more = {key: options.pop(key) for key in ("rate", "runs")}
    own = {key: value for key, value in more.items() if value is not None}
    data = overrides(options)
    if named is None:
        job = make({**data, "kind": "test", "commit": rev or "HEAD", "test": own}, "options")
        return _changed(job, patch, make), 0, start or ""
    if store is not None:
        number = int(named)
        known = store.job(number).job
        if known.test.reference:  # a test of a test's revision: whose bug it is was said there
            number = known.test.reference
        if not start:
            learned(store, number)
        seen = next((event.data["start"] for event in store.events(number) if event.kind == "started"), known.commit)
        job = make({**known.model_dump(mode="json", by_alias=True), **_merged(known, data)}, f"job {number}")
        return _changed(job, patch, make, commit=rev or seen, **own), 0 if start else number, start or ""
    job = make(merged(read_job(Path(named), elsewhere=make is not make_job), data), named)
    return _changed(job, patch, make, commit=rev or job.commit, **own), 0, start or ""


def _merged(known: Job, data: dict[str, Any]) -> dict[str, Any]:
    """Options over a stored job, table by table."""
    before = known.model_dump(mode="json", by_alias=True)
    return {key: {**before[key], **value} if isinstance(value, dict) else value for key, value in data.items()}


def _changed(job: Job, patch: str, make: Make = make_job, commit: str = "", **test: Any) -> Job:
    """A job as the test of one revision, with nothing of what only a bisection has."""
    data = job.model_dump(mode="json", by_alias=True)
    kept = data["test"] if job.kind == "test" else {}
    data |= {"kind": "test", "head": "", "good": [], "commit": commit or job.commit, "commit_title": ""}
    # Which configuration is used was decided where the bug was learned.
    data |= {"baseline": None, "build": {**data["build"], "sanitizers": "keep"}}
    return make({**data, "test": {**kept, "reference": 0, "measure": False, **test, "patch": patch}}, "options")


def _patch(path: Path | None) -> str:
    if path is None:
        return ""
    if str(path) != "-":
        return read_patch(path).decode("latin-1")
    data = sys.stdin.buffer.read()
    check_patch(data, "stdin")
    return data.decode("latin-1")


def _check_patch(job: Job) -> None:
    """Raises PatchError where the patch does not fit the revision."""
    if not job.test.patch:
        return
    repo = Repo(job.repo)
    commit = repo.resolve(job.commit)
    release = base_release(repo, commit)
    with scratch() as place:
        source = Fixer(place).source(
            repo, commit, release.version if release else None, fixes_for(repo, job.build),
            job.test.patch.encode("latin-1"),
        )  # fmt: skip
    if source.error:
        raise PatchError(f"--patch: {source.error} (at {job.commit})")


def _same(store: Store, job: Job) -> int:
    """The newest job with this configuration, reproducer and machine that saw its bug; 0 without one."""

    def facts(one: Job) -> list[Any]:
        build = one.build.model_copy(update={"sanitizers": "keep"})
        machine = one.machine.model_copy(update={"keep": False})
        return [one.repo, one.config, one.repro, one.title, one.bug, machine, build]

    for stored in store.each():
        if stored.job.kind == "test" and not stored.job.test.measure:
            continue  # ended at its first crash: that says little of how often it comes
        if facts(stored.job) == facts(job):
            try:
                learned(store, stored.id)
            except UserError:
                continue
            return stored.id
    return 0


COMMANDS = (test,)
