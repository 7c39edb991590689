"""How fast the dashboard's pages are while many look on: 10,000 jobs, 2 million events, 50 live viewers.

Run: ``uv run python -m benchmarks.pages [--jobs 10000] [--events 2000000] [--viewers 50] [--directory DIR]``. One job
of the store is a search over a real git history of ``--commits`` commits (its kernels are played), which viewers look
at while two events a second are added to it; the others have the events of a flaky job each. Prints one JSON object:
milliseconds at the median and the 95th percentile by page, as a client on this machine sees them.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import sqlalchemy as sa
from tests.support.lab import Lab
from tests.support.projects import make_repo, merging
from tests.support.stories import Quiet, finished_job

from firstbad.history.git import Repo
from firstbad.home import Home
from firstbad.job import make_job
from firstbad.session import Bisection
from firstbad.store import Store, open_store

PORT = 8397
COLUMNS = (
    "created", "job", "cancelled", "project", "submitted_by", "private", "kind", "name", "state", "title", "status",
    "culprit", "culprit_title", "confidence", "started", "finished", "builds", "runs", "cost", "opinions", "seq",
)  # fmt: skip


def long_job(directory: Path, store: Store, home: Home, commits: int) -> int:
    """A finished search over a real git history of that size, with a bug that shows in one run of two."""
    directory.mkdir(parents=True)
    parents = merging(commits, 1, 0.07)
    hashes = make_repo(directory / "linux", parents)
    repo = Repo(directory / "linux")
    repo.git("commit-graph", "write", "--reachable")
    (directory / "config").write_text("CONFIG_64BIT=y\n")
    (directory / "repro.c").write_text("int main(void) { return 0; }\n")
    data = {
        name: str(directory / file) for name, file in (("repo", "linux"), ("config", "config"), ("repro", "repro.c"))
    }
    job = make_job({**data, "commit": hashes[-1], "good": [hashes[0]], "name": f"{commits} commits"})
    number = store.submit(job)
    culprit = hashes[commits // 3]
    lab = Lab(directory, lambda commit: repo.is_ancestor(culprit, commit), crash_rate=0.5)
    Bisection(store, number, home, Quiet(), engine=lambda _home, _job: lab).run()
    return number


def fill(store: Store, like: int, jobs: int, events: int) -> int:
    """Copy a job and its events until there are so many; returns how many events there are."""
    own = len(store.events(like))
    copies = -(-events // (own * jobs))
    names = ", ".join(COLUMNS)

    def write(connection: sa.Connection, _: bool) -> None:
        numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {jobs})"
        connection.execute(
            sa.text(f"INSERT INTO jobs ({names}) {numbers} SELECT {names} FROM jobs, n WHERE id = {like}")
        )
        states = "CASE WHEN id % 20 = 0 THEN 'failed' WHEN id % 50 = 0 THEN 'cancelled' ELSE state END"
        last = own * copies - 1
        connection.execute(sa.text(f"UPDATE jobs SET title = title || ' ' || id, seq = {last}, state = {states}, "
                                   f"created = created - 60 * ({jobs} - id) WHERE id > {like}"))  # fmt: skip
        for copy in range(copies):
            # The copies after the first are runs alone: more of them, not another search.
            wanted = "" if not copy else "AND e.kind = 'run'"
            numbered = ("SELECT row_number() OVER (ORDER BY e.seq) - 1 AS at, e.time, e.kind, e.data "
                        f"FROM events e WHERE e.job_id = {like} {wanted}")  # fmt: skip
            connection.execute(sa.text(
                f"INSERT INTO events (job_id, seq, time, kind, data) SELECT j.id, e.at + {copy * own}, e.time, e.kind, "
                f"e.data FROM jobs j CROSS JOIN ({numbered}) e WHERE j.id > {like}"))  # fmt: skip

    store.database.write(write)
    return int(store.database.read(lambda c: c.execute(sa.text("SELECT count(*) FROM events")).scalar()) or 0)


async def measure(
    base: str, pages: dict[str, list[str]], viewers: int, watched: int, seconds: float
) -> dict[str, object]:
    """Latencies while ``viewers`` follow a job, each loading what changed as a browser does."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=base, timeout=60, limits=limits) as client:
        found: dict[str, list[float]] = {name: [] for name in [*pages, "live fragment"]}
        changes = 0

        async def get(name: str, address: str) -> None:
            since = time.perf_counter()
            answer = await client.get(address)
            answer.raise_for_status()
            found[name].append(1000 * (time.perf_counter() - since))

        async def viewer() -> None:
            nonlocal changes
            async with client.stream("GET", f"/jobs/{watched}/stream") as stream:
                async for line in stream.aiter_lines():
                    changes += line == "event: body"
                    if line == "event: changed":
                        await get("live fragment", f"/jobs/{watched}/live")

        watching = [asyncio.create_task(viewer()) for _ in range(viewers)]
        await asyncio.sleep(3)
        end, draw = time.monotonic() + seconds, random.Random(1)
        while time.monotonic() < end:
            for name, addresses in pages.items():
                await get(name, draw.choice(addresses))
            await asyncio.sleep(0.1)  # a person reads
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
    rows = {name: row(times) for name, times in found.items() if times}
    return {"pages": rows, "updates_sent": changes}


def row(times: list[float]) -> dict[str, float]:
    """Of one page."""
    ordered = sorted(times)
    middle, high = statistics.median(ordered), ordered[int(0.95 * len(ordered))]
    return {"median_ms": round(middle, 1), "p95_ms": round(high, 1), "requests": len(ordered)}


def tell(store: Store, like: int, watched: int) -> None:
    """Append runs to the job that is watched, two a second, until this process is ended."""
    run = next(event.data for event in store.events(like) if event.kind == "run")
    while True:
        store.append(watched, "run", run)
        time.sleep(0.5)


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--commits", type=int, default=15_000)
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--directory", type=Path)
    options = parser.parse_args()
    directory = options.directory or Path(tempfile.mkdtemp())
    home = Home(directory / "home", 1 << 30)
    known = (directory / "made.json").exists()
    store = open_store(home)
    if not known:
        long = long_job(directory / "long", store, home, options.commits)
        small = finished_job(directory / "small", lab={"crash_rate": 0.15, "stranger_rate": 0.1})
        like = store.submit(small.store.job(small.number).job)
        for event in small.store.events(small.number):
            store.append(like, event.kind, event.data)
        events = fill(store, like, options.jobs, options.events)
        (directory / "made.json").write_text(json.dumps({"long": long, "like": like, "events": events}))
    made = json.loads((directory / "made.json").read_text())
    environment = {**os.environ, "FIRSTBAD_HOME": str(home.root)}
    command = [sys.executable, "-m", "firstbad", "serve", "--port", str(PORT), "--no-worker"]
    base = f"http://127.0.0.1:{PORT}"
    others = [f"/jobs/{number}" for number in range(made["like"] + 1, made["like"] + options.jobs, 7)]
    pages = {
        "list": ["/"],
        "list, further down": [f"/?before={number}" for number in range(60, options.jobs, max(60, options.jobs // 20))],
        "list, searched": ["/?q=demo_read", "/?q=4711", "/?state=failed", "/?state=finished&kind=cause&q=c13"],
        "job, not looked at before": others,
        "job, watched": [f"/jobs/{made['long']}"],
        "runs": [f"/jobs/{made['long']}/runs"],
        "crashes": [f"/jobs/{made['long']}/crashes"],
        "log": [f"/jobs/{made['long']}/log"],
    }
    telling = os.fork()
    if not telling:
        tell(open_store(home), made["like"], made["long"])
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            for _ in range(100):
                time.sleep(0.3)
                try:
                    httpx.get(f"{base}/", timeout=10)
                    break
                except httpx.HTTPError:
                    continue
            found = asyncio.run(measure(base, pages, options.viewers, made["long"], options.seconds))
            memory = Path(f"/proc/{server.pid}/status").read_text().split("VmHWM:")[1].split("kB")[0].strip()
        finally:
            os.kill(telling, signal.SIGKILL)
            os.waitpid(telling, 0)
            server.terminate()
    size = (home.root / "firstbad.db").stat().st_size
    facts = {"jobs": options.jobs, "events": made["events"], "viewers": options.viewers, "commits": options.commits,
             "database_mib": size >> 20, "server_mib": int(memory) >> 10, "cores": os.cpu_count()}  # fmt: skip
    print(json.dumps(facts | found, indent=1))


if __name__ == "__main__":
    main()
