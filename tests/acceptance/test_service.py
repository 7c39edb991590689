"""Two servers and three workers on one PostgreSQL 15, killed with -9 in turn while they bisect; the database too."""

import json
import random
import time
import urllib.request
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support.daemons import GO_ON, LEASE, STOP, Server, left_over, wait_for, worker
from tests.support.projects import below, make_repo, merging

from firstbad.errors import InfrastructureError
from firstbad.store import Store
from firstbad.store.database import clock
from firstbad.store.tables import jobs

COMMITS = 40
CULPRITS = (7, 13, 19, 24, 31, 34)  # of the jobs


def program(directory: Path, seed: int) -> str:
    """Fails in seven of ten runs where the job's culprit is in; takes its time."""
    path = directory / "check.py"
    path.write_text(
        "import random, subprocess, sys, time\n"
        "time.sleep(0.25)\n"
        f"rng = random.Random(time.time_ns() + {seed})\n"
        "git = ['git', 'merge-base', '--is-ancestor', sys.argv[1], 'HEAD']\n"
        "inside = subprocess.run(git).returncode\n"
        "if inside > 1: sys.exit(200)  # git failed: that is no outcome\n"
        "sys.exit(1 if inside == 0 and rng.random() < 0.7 else 0)\n"
    )
    return str(path)


@pytest.fixture
def history(tmp_path):
    parents = merging(COMMITS, 3)
    hashes = make_repo(tmp_path / "repo.git", parents)
    bad = [c for c in CULPRITS if 0 in below(parents, c) and c in below(parents, COMMITS - 1)]
    assert len(bad) == len(CULPRITS)
    return tmp_path / "repo.git", hashes


def submit(server: Server, job: dict) -> int:
    request = urllib.request.Request(
        f"{server.url}/api/v1/jobs?priority=0",
        json.dumps(job).encode(),
        {"Content-Type": "application/json", "Idempotency-Key": job["name"]},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["job"]


class Leases:
    """Looks at the leases now and then: one that a worker has longer than its time after it was killed is a fault."""

    def __init__(self, store: Store) -> None:
        self.store, self.late = store, []

    def look(self, gone: dict[str, float]) -> None:
        """``gone``: since when workers (their process numbers) are killed or stopped."""
        query = sa.select(jobs.c.id, jobs.c.owner).where(jobs.c.token != "", jobs.c.leased_until > clock())
        with suppress(InfrastructureError):
            rows = self.store.database.read(lambda connection: connection.execute(query).all())
            for row in rows:
                since = gone.get(row.owner.split("/")[1])
                if since is not None and time.time() - since > LEASE + 0.5:
                    self.late.append((row.id, row.owner, time.time() - since))


def test_servers_workers_and_the_database_are_killed_in_turn(postgres, tmp_path, history):
    repo, hashes = history
    database, home = postgres.new_database(f"service{time.time_ns()}"), tmp_path / "home"
    store = Store(database)
    servers = [Server(tmp_path / f"server{i}.log", database, home) for i in range(2)]
    workers = [worker(tmp_path / f"worker{i}.log", database, home) for i in range(3)]
    try:
        for server in servers:
            wait_for(server.is_ready, why="the server is not ready")
        check, ledger = program(tmp_path, 1), tmp_path / "builds"
        numbers = []
        for i, culprit in enumerate(CULPRITS):
            project = {
                "command": ["python3", check, hashes[culprit]],
                "build": f"sleep 0.3; echo $FIRSTBAD_COMMIT $(date +%s.%N) >> {ledger}",
            }
            ends = {"repo": str(repo), "commit": hashes[-1], "good": [hashes[0]]}
            # One in a hundred wrong answers is what 0.99 means; here none is wanted.
            job = {"name": f"culprit {culprit}", **ends, "project": project, "target": 0.999}
            numbers.append(submit(servers[i % 2], job))
            assert submit(servers[(i + 1) % 2], job) == numbers[-1], "the same request again is the same job"
        kills, seen = play(postgres, store, servers, workers, numbers)
        assert seen.late == [], "a lease was stuck longer than its time"
        check_answers(store, numbers, hashes)
        check_builds(ledger, kills)
        for server in servers:
            with urllib.request.urlopen(f"{server.url}/jobs/{numbers[0]}", timeout=30) as page:
                assert hashes[CULPRITS[0]][:12] in page.read().decode()
        ended = [one.end() for one in (*workers, *servers)]
        assert ended == [0] * 5, "told to end, all of them end in order"
        assert left_over(str(home)) == [], "nothing is left running"
    finally:
        for one in (*workers, *servers):
            one.process.kill()
    print(f"{len(kills)} kills, {sum(store.job(number).runs for number in numbers)} runs")


def play(postgres, store, servers, workers, numbers) -> tuple[list[float], Leases]:
    """Kill one after the other until all jobs are finished; when that was, and what was seen of the leases."""
    rng, leases, kills, gone = random.Random(5), Leases(store), [], {}
    parts = [*workers, *servers, "database", workers[0], "hang", workers[1], workers[2], servers[0]]
    following, stopped, deadline = time.monotonic() + 3, None, time.monotonic() + 400
    while not all(store.job(number).state == "finished" for number in numbers):
        assert time.monotonic() < deadline, [store.job(number).standing for number in numbers]
        assert not any(store.job(number).state == "failed" for number in numbers)
        leases.look(gone)
        time.sleep(0.2)
        if time.monotonic() < following or not parts:
            continue
        if stopped is not None:
            if stopped.process.poll() is None:  # nobody had to take its job over
                gone.pop(str(stopped.process.pid))
                stopped.signal(GO_ON)
            else:  # whoever did ended it: it held locks
                stopped.begin()
            stopped = None
        part = parts.pop(0)
        following = time.monotonic() + rng.uniform(1.5, 3.0)
        if part == "database":
            postgres.stop()
            time.sleep(2)
            postgres.start()
            kills.append(time.time())
            gone = {pid: time.time() for pid in gone}  # from here on leases last as long again
        elif part == "hang":
            busy = [str(one.process.pid) for one in workers]
            owners = [store.job(number).owner for number in numbers]
            held = [owner.split("/")[1] for owner in owners if owner and owner.split("/")[1] in busy]
            stopped = next((one for one in workers if str(one.process.pid) in held), workers[0])
            stopped.signal(STOP)
            gone[str(stopped.process.pid)] = time.time()
            kills.append(time.time())
            following += 2 * LEASE
        else:
            gone[str(part.process.pid)] = part.kill()
            kills.append(time.time())
            part.begin()
    if stopped is not None and stopped.process.poll() is None:
        stopped.signal(GO_ON)
    elif stopped is not None:
        stopped.begin()
    # A fast machine may be done before the second round; each of the five and the database must have had its turn.
    assert len(parts) <= 5, f"the jobs were done before {len(parts)} of the kills"
    return kills, leases


def check_answers(store: Store, numbers: list[int], hashes: list[str]) -> None:
    for number, culprit in zip(numbers, CULPRITS, strict=True):
        found, events = store.job(number), store.events(number)
        assert (found.status, found.culprit) == ("found", hashes[culprit]), found.confidence
        assert [event.seq for event in events] == list(range(len(events)))
        assert Counter(event.kind for event in events)["finished"] == 1
        built = Counter(event.data["commit"] for event in events if event.kind == "build")
        assert max(built.values()) == 1
        assert found.runs == sum(event.kind == "run" for event in events)
        assert (found.owner, found.running) == ("", False)


def check_builds(ledger: Path, kills: list[float]) -> None:
    """No build twice, over all jobs and workers; but for one that ended as its worker was killed, unrecorded yet."""
    rows = [line.split() for line in ledger.read_text().splitlines()]
    times: dict[str, list[float]] = {}
    for commit, when in rows:
        times.setdefault(commit, []).append(float(when))
    for commit, found in times.items():
        for before in found[:-1]:
            assert any(before <= kill < before + 0.5 for kill in kills), f"{commit} was built twice"
    assert len(times) > len(CULPRITS)
