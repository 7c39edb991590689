"""Running a job while somebody watches, and its end: what is printed, and the exit status."""

import sys

from firstbad.cli.live import view
from firstbad.cli.output import say_error, say_json
from firstbad.cli.result import print_result, result_json
from firstbad.errors import BisectionError, FirstbadError, InfrastructureError
from firstbad.home import Home
from firstbad.job import Job
from firstbad.session import Bisection
from firstbad.store import Store

# As `git bisect run` reads them: 0 good, 125 skip, 1 to 127 bad, 128 and above end it.
NOT_SEEN, CRASHES, NO_ANSWER, NO_LAB = 0, 1, 125, 128


def finish_job(store: Store, place: Home, number: int, as_json: bool, plain: bool) -> None:
    """Run a job to its end and print the result. A test exits with what it found."""
    if store.job(number).job.kind == "test":
        sys.exit(_finish_test(store, place, number, as_json, plain))
    run_job(store, place, number, plain or as_json)
    _print(store, place, number, as_json)


def _finish_test(store: Store, place: Home, number: int, as_json: bool, plain: bool) -> int:
    job = store.job(number).job
    first = job.test.reference
    try:
        if first and store.job(first).job.test.measure and not _is_finished(store, first):
            run_job(store, place, first, plain or as_json)
        run_job(store, place, number, plain or as_json)
    except BisectionError as error:
        if as_json:
            say_json({**result_json(store, number), "status": error.status, "why": str(error)})
        say_error(str(error))
        return NO_ANSWER
    except InfrastructureError as error:
        say_error(str(error))
        return NO_LAB
    _print(store, place, number, as_json)
    status = str(result_json(store, number)["status"])
    return {"not_seen": NOT_SEEN, "crashes": CRASHES}.get(status, NO_ANSWER)


def _is_finished(store: Store, number: int) -> bool:
    return any(event.kind == "finished" for event in store.events(number))


def _print(store: Store, place: Home, number: int, as_json: bool) -> None:
    if as_json:
        say_json(result_json(store, number))
    else:
        print_result(store, place, number)


def run_job(store: Store, place: Home, number: int, plain: bool) -> None:
    """Run a job to its end while somebody watches. An error is recorded, then raised."""
    job = store.job(number).job
    with view(f"job {number}: {_heading(job)}", plain) as observer:
        try:
            Bisection(store, number, place, observer).run()
        except FirstbadError as error:
            store.append(number, "failed", {"error": str(error)})
            raise
        except KeyboardInterrupt:
            say_error(f"interrupted; `firstbad resume {number}` goes on from here")
            raise SystemExit(130) from None


def _heading(job: Job) -> str:
    title = f" of {job.title}" if job.title else ""
    if job.kind != "test":
        return f"{job.kind} bisection from {job.commit}{title}"
    if job.test.measure:
        return f"crash rate at {job.commit}{title}"
    return f"test of {job.commit}{' with a patch' if job.test.patch else ''}{title}"
