"""``watch``: what somebody else does to a job, live; and how that ends for who waits for it."""

import sys
import time
from collections.abc import Iterator
from typing import Any

import click

from firstbad.cli.export import Outputs
from firstbad.cli.live import view
from firstbad.cli.options import AS_JSON, JOB, PLAIN
from firstbad.cli.output import say_error, say_json
from firstbad.cli.remote import Server, chosen
from firstbad.cli.result import print_result
from firstbad.cli.run import heading
from firstbad.cli.status import exit_of, exit_of_job
from firstbad.errors import UserError
from firstbad.home import home
from firstbad.session import State
from firstbad.session.result import result_json
from firstbad.session.state import apply
from firstbad.store import Store, open_store
from firstbad.store.jobs import ENDED_STATES


@click.command(epilog="Example: firstbad watch 3")
@JOB
@AS_JSON
@PLAIN
def watch(number: int | None, as_json: bool, plain: bool) -> None:
    """Watch a job (the last one by default) that a worker works on, until it ends; then print its result.

    The exit status is that of `firstbad cause`. Ctrl-C ends the watching, not the job.
    """
    jobs: Server | Store = chosen() or open_store(home())
    stored = jobs.job(number)
    if isinstance(jobs, Store) and not stored.running and not stored.queued and stored.state not in ENDED_STATES:
        raise UserError(f"nobody works on job {stored.id}; `firstbad resume {stored.id}` does")
    await_job(jobs, stored.id, as_json, plain)


def await_job(jobs: Server | Store, number: int, as_json: bool, plain: bool, outputs: Outputs | None = None) -> None:
    """Watch a job to its end, print the result, exit with the status of its kind; returns where that is 0."""
    outputs = outputs or Outputs()
    try:
        standing = follow(jobs, number, plain or as_json)
    except KeyboardInterrupt:
        server = f"--server {jobs.url} " if isinstance(jobs, Server) else ""
        say_error(
            f"job {number} goes on; `firstbad {server}watch {number}` watches it again, "
            f"`firstbad {server}cancel {number}` gives it up"
        )
        raise SystemExit(exit_of("interrupted")) from None
    kind, result = jobs.job(number).job.kind, result_json(jobs, number)
    if as_json:
        say_json(result)
    outputs.write_or_tell(jobs, number)
    if standing == "cancelled":
        say_error(f"job {number} was cancelled; `firstbad resume {number}` goes on from here")
        sys.exit(exit_of("cancelled"))
    if standing == "failed":
        say_error(str(result.get("why", "the job failed")))
        sys.exit(exit_of_job(kind, _known(str(result["status"]))))
    if not as_json:
        print_result(jobs, home(), number)
    code = exit_of_job(kind, str(result["status"]))
    if code:
        sys.exit(code)


def _known(status: str) -> str:
    """Why a job failed, as an exit status has it: what the input was is known only after it was taken."""
    return "untestable" if status == "unfinished" else status


def follow(jobs: Server | Store, number: int, plain: bool) -> str:
    """Show what happens until the job ends; returns how it stands then."""
    job = jobs.job(number).job
    state = State()
    with view(f"job {number}: {heading(job)}", plain) as observer:
        for kind, data in jobs.stream(number) if isinstance(jobs, Server) else _stream(jobs, number):
            if kind == "fact":
                apply(state, data, job.title)
                observer.event(data, state)
            elif kind == "now":
                observer.activity(_now(data))
            elif kind == "end":
                return str(data["standing"])
    return ""


def _now(data: dict[str, Any]) -> str:
    words = {"waiting": "waiting for a worker", "paused": "paused"}
    return words.get(str(data["standing"])) or str(data.get("activity") or data["standing"])


def _stream(store: Store, number: int) -> Iterator[tuple[str, Any]]:
    """As a server's, for a job of this machine."""
    after = -1
    while True:
        stored = store.job(number)
        for event in store.events(number, after):
            after = event.seq
            yield "fact", event
        yield "now", {"standing": stored.standing}
        if stored.standing in ENDED_STATES and after >= stored.seq:
            yield "end", {"standing": stored.standing}
            return
        time.sleep(0.5)


COMMANDS = (watch,)
