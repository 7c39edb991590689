"""One search step against ``git rev-list --bisect`` on the same ranges: 13,000, 90,000 and a million commits.

Run: ``uv run python -m benchmarks.search_speed [--sizes 13000 90000 1000000] [--cache DIR] [--git-limit SECONDS]``.
The repositories are real ones, Linux-shaped (``firstbad.inference.shapes``), each with git's commit-graph file, made
once per cache directory. Git is timed as ``git bisect`` calls it, a fresh process per step, over the whole range from
tip to root. Ours is timed in a process of its own: reading the range and preparing the graph happen once per
bisection and are reported apart; a step is one observation taken in and the next test chosen, over all states of one
simulated bisection on that range, from its first test to its answer. Memory is the highest of each process.
"""

import argparse
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from firstbad.history.git import Repo
from firstbad.history.graph import read_range
from firstbad.inference import Belief, Costs, Dag, next_test
from firstbad.inference.shapes import linux_shaped

SIZES = (13_000, 90_000, 1_000_000)
SEED = 1
CRASH_RATE, MACHINES, RUN_SECONDS, BUILD_SECONDS = 0.5, 10, 300.0, 420.0
MOST_STEPS, SURE = 60, 0.99
GIT_SECONDS = 10.0  # git is repeated until this much time is used, twice at least where one takes less than that
_REF = "refs/heads/master"


@dataclass(frozen=True)
class Ours:
    """What one bisection of ours took; seconds and MiB."""

    commits: int
    read: float
    """Range from the commit-graph file."""
    prepare: float
    """Graph, its segments and differences, and a belief."""
    first: float
    """Start observed and the first test chosen."""
    steps: list[float]
    """Each later observation with the choice that follows."""
    right: bool
    """The simulated culprit was found."""
    memory: float


@dataclass(frozen=True)
class Git:
    """What ``git rev-list --bisect`` took, run by run; seconds and MiB. Empty where it went over the limit."""

    seconds: list[float]
    memory: float


def make_repository(place: Path, commits: int) -> Path:
    """A bare repository with a Linux-shaped history of that many commits (or a few more) and a commit-graph file."""
    path = place / f"linux-shaped-{commits}-seed{SEED}.git"
    if (path / "objects/info/commit-graph").exists():
        return path
    dag = linux_shaped(commits, SEED)
    subprocess.run(["git", "init", "-q", "--bare", str(path)], check=True)
    with subprocess.Popen(["git", "-C", str(path), "fast-import", "--quiet"], stdin=subprocess.PIPE) as importer:
        assert importer.stdin is not None
        for i, row in enumerate(dag.parents):
            parents = "".join(f"{'merge' if k else 'from'} :{p + 1}\n" for k, p in enumerate(row))
            who = f"A Developer <dev@example.org> {1_000_000_000 + 60 * i} +0000"
            importer.stdin.write(f"commit {_REF}\nmark :{i + 1}\ncommitter {who}\ndata 0\n{parents}\n".encode())
    if importer.returncode:
        raise RuntimeError(f"git fast-import failed in {path}")
    subprocess.run(["git", "-C", str(path), "commit-graph", "write", "--reachable", "--no-progress"], check=True)
    return path


def ends(repo: Repo) -> tuple[str, str]:
    """Tip and root."""
    tip = repo.resolve(_REF)
    return tip, repo.git("rev-list", "--max-parents=0", tip).split()[0]


def measure_git(path: Path, limit: float) -> Git:
    """Time ``git rev-list --bisect tip ^root``, ended after ``limit`` seconds."""
    tip, root = ends(Repo(path))
    seconds: list[float] = []
    memory = 0.0
    while not seconds or sum(seconds) < GIT_SECONDS:
        begun = time.perf_counter()
        child = subprocess.Popen(
            ["git", "-C", str(path), "rev-list", "--bisect", tip, f"^{root}"], stdout=subprocess.DEVNULL
        )
        signal.signal(signal.SIGALRM, lambda *_, child=child: child.kill())
        signal.alarm(max(1, int(limit)))
        _, status, used = os.wait4(child.pid, 0)
        signal.alarm(0)
        child.returncode = os.waitstatus_to_exitcode(status)
        memory = max(memory, used.ru_maxrss / 1024)
        if child.returncode == -signal.SIGKILL:
            return Git([], memory)
        if child.returncode:
            raise RuntimeError(f"git rev-list --bisect ended with {child.returncode}")
        seconds.append(time.perf_counter() - begun)
    return Git(seconds, memory)


def measure_ours(path: Path) -> Ours:
    """One simulated bisection on the whole range, step by step."""
    repo = Repo(path)
    tip, root = ends(repo)
    begun = time.perf_counter()
    found = read_range(repo, tip, [root])
    read = time.perf_counter() - begun
    begun = time.perf_counter()
    dag = Dag.from_arrays(*found.arrays())
    candidates = np.ones(dag.n, dtype=bool)
    candidates[list(found.boundary)] = False
    belief = Belief(dag, kind="cause", candidates=candidates, start=found.tip)
    dag.ancestor_sums(np.ones(dag.n))
    prepare = time.perf_counter() - begun
    rng = np.random.default_rng(SEED)
    truth = int(rng.choice(np.flatnonzero(candidates)))
    bad = dag.descendants(truth)
    build = np.full(dag.n, BUILD_SECONDS)
    revision, runs = found.tip, MACHINES
    times: list[float] = []
    while len(times) < MOST_STEPS:
        crashes, clean = run(rng, bool(bad[revision]), runs)
        build[revision] = 0.0
        costs = Costs(build, RUN_SECONDS, MACHINES)
        begun = time.perf_counter()
        belief.observe(revision, crashes=crashes, clean=clean)
        test = next_test(belief, costs)
        times.append(time.perf_counter() - begun)
        if test is None or float(belief.posterior.max()) >= SURE:
            break
        revision, runs = test.revision, test.runs
    right = int(np.argmax(belief.posterior)) == truth
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Ours(dag.n, read, prepare, times[0], times[1:], right, memory)


def run(rng: np.random.Generator, bad: bool, runs: int) -> tuple[int, int]:
    """(crashes, clean) of a batch that ends with the round of its first crash."""
    crashes = clean = 0
    while runs > 0 and not crashes:
        now = min(runs, MACHINES)
        runs -= now
        crashes = int(rng.binomial(now, CRASH_RATE)) if bad else 0
        clean += now - crashes
    return crashes, clean


def in_own_process(path: Path) -> Ours:
    """`measure_ours` in a fresh interpreter, so that the memory is its own."""
    command = [sys.executable, "-m", "benchmarks.search_speed", "--measure", str(path)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Ours(**json.loads(done.stdout))


def figures(path: Path, git: Git, ours: Ours, limit: float) -> list[str]:
    """One row of the table."""
    step, slowest = statistics.median(ours.steps), max(ours.steps)
    of_git = statistics.median(git.seconds) if git.seconds else limit
    over = "" if git.seconds else "> "
    merges = int(Repo(path).git("rev-list", "--count", "--merges", _REF)) / ours.commits
    return [
        f"{ours.commits:,}",
        f"{merges:.1%}",
        f"{over}{of_git:.3f} ({len(git.seconds)})",
        f"{step:.4f} ({len(ours.steps)})",
        f"{slowest:.4f}",
        f"{over}{of_git / step:,.1f}",
        f"{over}{of_git / slowest:,.1f}",
        f"{ours.read:.2f}",
        f"{ours.prepare:.2f}",
        f"{ours.first:.4f}",
        f"{git.memory:.0f}",
        f"{ours.memory:.0f}",
        "yes" if ours.right else "no",
    ]


HEADER = [
    "commits",
    "merges",
    "git step (runs)",
    "our step, median (steps)",
    "slowest",
    "git / median",
    "git / slowest",
    "read",
    "prepare",
    "first step",
    "git MiB",
    "our MiB",
    "found",
]


def table(rows: list[list[str]]) -> str:
    """Markdown, columns aligned."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|", *lines[1:]])


def main() -> None:
    """Make what is missing, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="commits of each range")
    parser.add_argument("--cache", type=Path, help="where repositories are kept [default: a directory that is removed]")
    parser.add_argument(
        "--git-limit", type=float, default=900.0, help="seconds after which git is ended [default: 900]"
    )
    parser.add_argument("--json", type=Path, help="write all times to this file too")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(asdict(measure_ours(given.measure))))
        return
    with tempfile.TemporaryDirectory() as scratch:
        cache = given.cache or Path(scratch)
        cache.mkdir(parents=True, exist_ok=True)
        rows, record = [HEADER], []
        for size in given.sizes:
            path = make_repository(cache, size)
            ours, git = in_own_process(path), measure_git(path, given.git_limit)
            rows.append(figures(path, git, ours, given.git_limit))
            record.append({"ours": asdict(ours), "git": asdict(git)})
        version = subprocess.run(["git", "--version"], check=True, capture_output=True, text=True).stdout.strip()
        print(f"{version}, numpy {np.__version__}, {os.cpu_count()} processors; seconds\n\n{table(rows)}")
        if given.json:
            given.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
