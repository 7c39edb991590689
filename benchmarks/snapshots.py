"""What snapshots save, and how alike the runs of one snapshot are: the demo's race, restored against booted.

Run: ``FIRSTBAD_HOME=DIR uv run python -m benchmarks.snapshots --snapshots 24 --runs 8``. Prints the crash rate from
snapshots and from boots of their own, the intraclass correlation of the first with its 95% interval by bootstrap over
the snapshots, and the median seconds of a run either way. ``session.tally.SNAPSHOT_CORRELATION`` rests on it.
"""

import argparse
import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.demo_rates import wilson
from firstbad.crash import first_sign, parse
from firstbad.demo import demo_job, make_demo
from firstbad.engine import BuildRequest
from firstbad.home import home
from firstbad.session.lab import make_engine
from firstbad.vm import Acceleration, MachineConfig, Snapshot, build_initramfs, run_machine, take_snapshot


def correlation(shown: NDArray[np.float64]) -> float:
    """Intraclass correlation of (groups, runs) outcomes 0 and 1, by one-way analysis of variance (Fisher, 1925)."""
    groups, runs = shown.shape
    means = shown.mean(axis=1)
    between = runs * ((means - shown.mean()) ** 2).sum() / (groups - 1)
    within = ((shown - means[:, None]) ** 2).sum() / (groups * (runs - 1))
    total = between + (runs - 1) * within
    return float((between - within) / total) if total else 0.0


def interval(shown: NDArray[np.float64]) -> tuple[float, float]:
    """95%, by 2,000 draws of whole groups."""
    rng = np.random.default_rng(0)
    drawn = [correlation(shown[rng.integers(0, len(shown), len(shown))]) for _ in range(2000)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return round(float(low), 2), round(float(high), 2)


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--snapshots", type=int, default=24)
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--machines", type=int, default=2)
    parser.add_argument("--case", default="c")
    options = parser.parse_args()
    place = home()
    made = make_demo(place.root / "demo", 1)
    case = made.cases[options.case]
    engine = make_engine(place, demo_job(made, case, 0.99))
    try:
        kernel = engine.build(BuildRequest(made.repo, case.start)).result().kernel
        payload = engine.reproducer.payload()
    finally:
        engine.close()
    initramfs = build_initramfs(place.machines)
    how = Acceleration("tcg", "")
    config = MachineConfig(cpus=case.cpus, snapshot=options.runs)

    def once(snapshot: Snapshot | None) -> tuple[bool, float]:
        since = time.monotonic()
        run = run_machine(kernel, initramfs, payload, config, how, crash_sign=first_sign, snapshot=snapshot)
        return parse(run.console) is not None, time.monotonic() - since

    def group(number: int) -> tuple[list[tuple[bool, float]], float]:
        path = Path(place.machines) / f"benchmark-{number}"
        since = time.monotonic()
        taken = take_snapshot(kernel, initramfs, config, how, path, crash_sign=first_sign)
        seconds = time.monotonic() - since
        if not isinstance(taken, Snapshot):
            raise SystemExit(taken.detail)
        try:
            return [once(taken) for _ in range(options.runs)], seconds
        finally:
            path.unlink()

    with ThreadPoolExecutor(options.machines) as pool:
        groups = list(pool.map(group, range(options.snapshots)))
        boots = list(pool.map(lambda _: once(None), range(options.snapshots * options.runs // 2)))
    shown = np.array([[crashed for crashed, _ in runs] for runs, _ in groups], dtype=float)
    booted = sum(crashed for crashed, _ in boots)
    print(
        json.dumps(
            {
                "restored_crashes": [int(shown.sum()), shown.size, wilson(int(shown.sum()), shown.size)],
                "booted_crashes": [booted, len(boots), wilson(booted, len(boots))],
                "correlation": round(correlation(shown), 3),
                "interval": interval(shown),
                "restored_seconds": round(statistics.median(s for runs, _ in groups for _, s in runs), 2),
                "booted_seconds": round(statistics.median(s for _, s in boots), 2),
                "snapshot_seconds": round(statistics.median(s for _, s in groups), 2),
            }
        )
    )


if __name__ == "__main__":
    main()
