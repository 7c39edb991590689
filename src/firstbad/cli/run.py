"""Running a job while somebody watches, and its end: what is printed, and the exit status."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from firstbad.cli.export import Outputs
from firstbad.cli.live import view
from firstbad.cli.output import say_error, say_json
from firstbad.cli.result import print_result
from firstbad.cli.status import exit_of, exit_of_job, status_of
from firstbad.errors import BisectionError, BusyError, FirstbadError, InfrastructureError, machine_failures
from firstbad.home import Home
from firstbad.job import Job
from firstbad.session import Bisection, ProjectSession
from firstbad.session.result import result_json
from firstbad.store import Store


def finish_job(
    store: Store,
    place: Home,
    number: int,
    as_json: bool,
    plain: bool,
    deadline: float | None = None,
    outputs: Outputs | None = None,
) -> None:
    """Run a job to its end, print the result, exit with the status of its kind (status.toml); returns where that is 0.

    ``deadline``: seconds since the epoch, after which the best answer so far is the result. ``outputs`` are written
    whatever the result.
    """
    outputs = outputs or Outputs()
    outputs.check(store.job(number).job)
    job = store.job(number).job
    try:
        _run(store, place, number, plain or as_json, deadline)
    except (BisectionError, InfrastructureError) as error:
        if as_json:
            # Scripts count on these, whatever became of the search.
            nothing: dict[str, Any] = {"commits": [], "probabilities": [], "confidence": 0.0}
            say_json({**nothing, **result_json(store, number), "status": status_of(error), "why": str(error)})
        outputs.write_or_tell(store, number)
        say_error(str(error))
        sys.exit(exit_of_job(job.kind, status_of(error)))
    if as_json:
        say_json(result_json(store, number))
    else:
        print_result(store, place, number)
    outputs.write_or_tell(store, number)
    code = exit_of_job(job.kind, str(result_json(store, number)["status"]))
    if code:
        sys.exit(code)


def _run(store: Store, place: Home, number: int, plain: bool, deadline: float | None) -> None:
    """A job, after the measurement that it needs."""
    first = store.job(number).job.test.reference
    if first and store.job(first).job.test.measure and not _is_finished(store, first):
        run_job(store, place, first, plain, deadline)
    run_job(store, place, number, plain, deadline)


def _is_finished(store: Store, number: int) -> bool:
    return any(event.kind == "finished" for event in store.events(number))


def run_job(store: Store, place: Home, number: int, plain: bool, deadline: float | None = None) -> dict[str, Any]:
    """Run a job to its end while somebody watches; returns its result. An error is recorded, then raised."""
    job = store.job(number).job
    with _told_to_end(), view(f"job {number}: {heading(job)}", plain) as observer:
        try:
            session = ProjectSession if job.project is not None else Bisection
            with machine_failures():
                return session(store, number, place, observer, deadline=deadline).run()
        except BusyError:
            raise
        except FirstbadError as error:
            with suppress(InfrastructureError):  # the store may be what failed: then it is told here alone
                store.append(number, "failed", {"error": str(error), "status": status_of(error)})
            raise
        except KeyboardInterrupt:
            say_error(f"interrupted; `firstbad resume {number}` goes on from here")
            raise SystemExit(exit_of("interrupted")) from None


@contextmanager
def _told_to_end() -> Iterator[None]:
    """SIGTERM (a CI's time limit) and SIGHUP (a terminal that is closed) end a job as Ctrl-C does: told, and tidied up.

    A signal that is ignored (nohup) stays so.
    """

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler is signal.SIG_DFL:
            signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def heading(job: Job) -> str:
    """What a view of the job is headed by."""
    title = f" of {job.title}" if job.title else ""
    if job.project is not None:
        return f"{'fix' if job.kind == 'fix' else 'cause'} of {' '.join(job.project.command)[:60]}"
    if job.kind != "test":
        return f"{job.kind} bisection from {job.commit}{title}"
    if job.test.measure:
        return f"crash rate at {job.commit}{title}"
    return f"test of {job.commit}{' with a patch' if job.test.patch else ''}{title}"
