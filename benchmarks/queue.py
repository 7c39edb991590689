"""The queue under load, on SQLite and PostgreSQL: 10,000 jobs and 2 million events, 8 workers, 50 live viewers.

Run: ``uv run python -m benchmarks.queue [--jobs 10000] [--events 2000000] [--workers 8] [--viewers 50]
[--directory DIR] [--only sqlite|postgresql]``. The store is filled with copies of one flaky job by bulk inserts. Then,
by database:

- ``store``: milliseconds of what pages and workers ask for, one client, nothing else going on;
- ``pages``: list and job pages of a real server, alone and while viewers follow a job that goes on (two events a
  second; `benchmarks.pages` has more);
- ``claims``: so many processes claim a job, append an event to it and give it back, as fast as they can: claims a
  second in all, and milliseconds of one claim.

PostgreSQL is a cluster of its own in a temporary directory, with its defaults but for 128 MB of buffers. Prints one
JSON object.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa
from tests.support.postgres import Postgres, free_port
from tests.support.stories import finished_job

from benchmarks.pages import fill, measure, row, tell
from firstbad.home import Home
from firstbad.store import Filter, Queue, Store

ROUNDS = 60  # of each question to the store
PAGES = ("/", "/?before={old}", "/?q=demo_read", "/?q={some}", "/?state=failed")


def filled(where: str, directory: Path, jobs: int, events: int) -> tuple[Store, int, int]:
    """A store with so many jobs and events, the number of the job that they are copies of, and how many events."""
    store = Store(where)
    newest = store.page(limit=1).jobs
    if newest and newest[0].id >= jobs:
        count = sa.text("SELECT count(*) FROM events")
        return store, 1, int(store.database.read(lambda connection: connection.execute(count).scalar()) or 0)
    small = finished_job(directory / f"small{time.time_ns()}", lab={"crash_rate": 0.15, "stranger_rate": 0.1})
    like = store.submit(small.store.job(small.number).job)
    for event in small.store.events(small.number):
        store.append(like, event.kind, event.data)
    if not store.database.is_postgresql:
        return store, like, fill(store, like, jobs, events)
    # Foreign keys are looked up row by row there, which takes longer than all the rest.
    _tell_server(store, "ALTER DATABASE bench SET session_replication_role = replica")
    made = fill(store, like, jobs, events)
    _tell_server(store, "ALTER DATABASE bench RESET session_replication_role", "ANALYZE")
    return store, like, made


def _tell_server(store: Store, *words: str) -> None:
    def write(connection: sa.Connection, _: bool) -> None:
        for one in words:
            connection.execute(sa.text(one))

    store.database.write(write)
    store.database.close()  # new connections heed it


def work(where: str, seconds: float, ready: Any, results: Any) -> None:
    """One worker that has nothing to do but to claim."""
    queue, times = Queue(Store(where)), []
    ready.wait()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        since = time.perf_counter()
        lease = queue.claim()
        times.append(1000 * (time.perf_counter() - since))
        if lease is None:
            break
        queue.store.append(lease.job, "machines", {"acceleration": "kvm", "why": "", "at_a_time": 2}, lease.token)
        queue.release(lease, not_before=time.time() + 3600)
    results.put(times)


def claims(where: str, workers: int, seconds: float) -> dict[str, float]:
    """Claims a second of so many processes, each with the append of an event and the lease given back."""
    store = Store(where)
    waiting = "UPDATE jobs SET queued = 1, state = 'new', not_before = 0, priority = id % 3, attempts = 0"
    store.database.write(lambda connection, _: connection.execute(sa.text(waiting)))
    context = multiprocessing.get_context("spawn")
    ready, results = context.Barrier(workers + 1), context.Queue()
    arguments = (where, seconds, ready, results)
    running = [context.Process(target=work, args=arguments) for _ in range(workers)]
    for process in running:
        process.start()
    ready.wait()
    since = time.monotonic()
    times = [one for _ in running for one in results.get()]
    wall = time.monotonic() - since
    for process in running:
        process.join()
    store.database.write(
        lambda connection, _: connection.execute(sa.text("UPDATE jobs SET queued = 0, state = 'finished'"))
    )
    return {"a_second": round(len(times) / wall, 1), **row(times)}


def questions(store: Store, like: int, jobs: int) -> dict[str, dict[str, float]]:
    """Milliseconds of single calls."""
    run = next(event.data for event in store.events(like) if event.kind == "run")
    some = like + jobs // 2
    asked: dict[str, Callable[[], object]] = {
        "list": lambda: store.page(),
        "list, further down": lambda: store.page(before=some),
        "list, searched": lambda: store.page(Filter(text="demo_read 4711")),
        "list, by state": lambda: store.page(Filter(standing=["failed"])),
        "counts": lambda: store.counts(),
        "events of a job": lambda: store.events(some),
        "append": lambda: store.append(like, "run", run),
        "claim of an empty queue": lambda: Queue(store).claim(),
    }
    return {name: row([_milliseconds(call) for _ in range(ROUNDS)]) for name, call in asked.items()}


def _milliseconds(call: Callable[[], object]) -> float:
    since = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - since)


def pages(where: str, home: Home, like: int, jobs: int, viewers: int, seconds: float) -> dict[str, object]:
    """List and job pages of a real server, while viewers follow a job to which two events a second are added."""
    port, watched = free_port(), like + 1
    environment = {**os.environ, "FIRSTBAD_HOME": str(home.root), "FIRSTBAD_DATABASE": where}
    command = [sys.executable, "-m", "firstbad", "serve", "--port", str(port), "--no-worker"]
    addresses = {
        "list": [page.format(old=like + jobs // 3, some=like + 4711) for page in PAGES],
        "job": [f"/jobs/{number}" for number in range(like + 2, like + jobs, 7)],
    }
    telling = os.fork()
    if not telling:
        tell(Store(where), like, watched)
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            base = f"http://127.0.0.1:{port}"
            _wait_for(f"{base}/readyz")
            return asyncio.run(measure(base, addresses, viewers, watched, seconds))
        finally:
            os.kill(telling, signal.SIGKILL)
            os.waitpid(telling, 0)
            server.terminate()


def _wait_for(address: str) -> None:
    for _ in range(200):
        try:
            httpx.get(address, timeout=10).raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(0.3)
    raise SystemExit("the server did not begin")


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--directory", type=Path, help="kept, and used again  [default: a temporary one]")
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    options = parser.parse_args()
    directory = options.directory or Path(tempfile.mkdtemp(prefix="queue-"))
    found: dict[str, object] = {"jobs": options.jobs, "workers": options.workers, "viewers": options.viewers}
    server = Postgres(fsync=True) if options.only != "sqlite" else None
    try:
        places = {"sqlite": str(directory / "firstbad.db")} if options.only != "postgresql" else {}
        places |= {"postgresql": server.new_database("bench")} if server is not None else {}
        for name, where in places.items():
            since = time.monotonic()
            store, like, events = filled(where, directory, options.jobs, options.events)
            took, home = round(time.monotonic() - since), Home(directory / f"home-{name}", 1 << 30)
            found[name] = {
                "events": events,
                "fill_seconds": took,
                "store": questions(store, like, options.jobs),
                "pages, alone": pages(where, home, like, options.jobs, 0, options.seconds / 2),
                "pages": pages(where, home, like, options.jobs, options.viewers, options.seconds),
                "claims": claims(where, options.workers, options.seconds),
            }
            print(json.dumps({name: found[name]}), file=sys.stderr, flush=True)
    finally:
        if server is not None:
            server.close()
    print(json.dumps({**found, "cores": os.cpu_count(), "load": os.getloadavg()}, indent=1))


if __name__ == "__main__":
    main()
