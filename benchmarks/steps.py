"""What each step of a bisection costs on this machine, with the real parts: medians over a few repetitions.

Run: ``uv run python -m benchmarks.steps [--repeat 5] [--keep DIR]``. Needs what ``firstbad doctor`` names.
The demo's history is the material: import it, build its head from nothing (empty compile cache) and again in another
directory (warm cache), build neighbours, boot, run bug (a), symbolize its report, take a step of the search.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from firstbad.crash import first_sign, parse, symbolize
from firstbad.demo import Demo, find_source, make_demo
from firstbad.history.git import Repo
from firstbad.inference import Belief, Costs, Dag, next_test
from firstbad.kernel.artifacts import Artifacts, Built
from firstbad.kernel.build import Builder, Spec
from firstbad.kernel.places import places
from firstbad.repro import prepare
from firstbad.vm import MachineConfig, build_initramfs, probe_acceleration, run_machine

T = TypeVar("T")
Times = dict[str, list[float]]


def timed(times: Times, name: str, work: Callable[[], T]) -> T:
    """Do the work and note its seconds of wall-clock."""
    started = time.perf_counter()
    result = work()
    times.setdefault(name, []).append(time.perf_counter() - started)
    return result


def builder(place: Path, name: str) -> Builder:
    """A builder with its own directory and store, and the shared compile cache."""
    return Builder(place / name, Artifacts(place / f"{name}-artifacts", 1 << 40), place / "ccache")


def measure_builds(times: Times, place: Path, made: Demo, repeat: int) -> Built:
    """Clean, warm and incremental builds; returns a kernel with bug (a)."""
    case, repo = made.cases["a"], Repo(made.repo)
    spec = Spec(case.config.read_text(), "tinyconfig")
    first = builder(place, "first")
    head = timed(times, "clean build", lambda: first.build(repo, case.start, spec))
    timed(
        times,
        "clean build, warm compile cache, same directory",
        lambda: rebuild_from_nothing(first, repo, case.start, spec),
    )
    line = repo.git("rev-list", "--first-parent", f"--max-count={8 * repeat}", case.start).split()
    bad = set(made.untestable)
    for commit in [commit for commit in line[1:] if commit not in bad][:repeat]:
        timed(times, "incremental build, next commit", lambda commit=commit: first.build(repo, commit, spec))  # type: ignore[misc]
    return head


def rebuild_from_nothing(used: Builder, repo: Repo, commit: str, spec: Spec) -> Built:
    """Build again with the outputs and the store gone."""
    for place in places(used.directory):
        place.wipe()
    fresh = Builder(used.directory, Artifacts(used.directory / "again", 1 << 40), used.ccache)
    return fresh.build(repo, commit, spec)


def measure_machines(times: Times, place: Path, made: Demo, built: Built, repeat: int) -> None:
    """Boot, run and symbolize."""
    initramfs = timed(times, "initramfs", lambda: build_initramfs(place / "machines"))
    payload = prepare(made.cases["a"].repro, place / "machines").payload()
    accelerator = timed(times, "find out about KVM", lambda: probe_acceleration(built.kernel, initramfs))
    console = b""
    for _ in range(repeat):
        run = timed(
            times,
            "boot and run, crash read",
            lambda: run_machine(built.kernel, initramfs, payload, MachineConfig(), accelerator, crash_sign=first_sign),
        )
        times.setdefault("boot alone", []).append(run.boot_seconds)
        console = run.console
    report = parse(console)
    if report is None:
        raise SystemExit("bug (a) did not crash")
    for _ in range(repeat):
        timed(times, "symbolize a report", lambda: symbolize(report.report, built.directory / "vmlinux"))


def measure_search(times: Times, commits: int, repeat: int) -> None:
    """One step of the search on a line of commits, after ten tests."""
    dag = Dag([(i - 1,) if i else () for i in range(commits)])
    belief = Belief(dag, kind="cause", candidates=np.arange(commits) > 0, start=commits - 1)
    costs = Costs(build_seconds=np.full(commits, 30.0), run_seconds=2.0, machines=2)
    for _ in range(10):
        test = next_test(belief, costs)
        if test is None:
            break
        bad = test.revision >= commits // 3
        belief.observe(test.revision, crashes=int(bad), clean=0 if bad else test.runs)
    for _ in range(repeat):
        belief.observe(0, clean=1)
        timed(times, f"search step, {commits:,} commits", lambda: next_test(belief, costs))


def main() -> None:
    """Measure everything and print a line a step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="directory to work in, kept afterwards")
    wanted = parser.parse_args()
    times: Times = {}
    with tempfile.TemporaryDirectory() as scratch:
        place = wanted.keep or Path(scratch)
        made = timed(times, "import and history", lambda: make_demo(place / "demo", 1, source=find_source()))
        timed(times, "another seed's history", lambda: make_demo(place / "demo", 2, source=find_source()))
        built = measure_builds(times, place, made, wanted.repeat)
        measure_machines(times, place, made, built, wanted.repeat)
        for commits in (200, 15_000):
            measure_search(times, commits, wanted.repeat)
    for name, seconds in times.items():
        print(json.dumps({"step": name, "median_seconds": round(statistics.median(seconds), 4), "times": len(seconds)}))


if __name__ == "__main__":
    main()
