"""How often the demo's bugs show: fresh boots of one revision with one case's reproducer, counted by crash title.

Run: ``uv run python -m benchmarks.demo_rates --case c --runs 200 [--seed 1] [--at REVISION] [--keep DIR]``.
``--at`` takes a change's id (``a``, ``d`` ...) or a revision; without it the case's start is measured. ``--at d``
tells how often the unrelated warning (d) spoils a run. ``--kernel IMAGE`` measures a kernel that is built already.
"""

import argparse
import json
import statistics
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from math import sqrt
from pathlib import Path

from firstbad.crash import first_sign, parse
from firstbad.demo import Case, Demo, find_source, make_demo
from firstbad.history.git import Repo
from firstbad.kernel.artifacts import Artifacts
from firstbad.kernel.build import Builder, Spec
from firstbad.repro import prepare
from firstbad.vm import MachineConfig, MachineRun, build_initramfs, probe_acceleration, run_machine


def wilson(hits: int, runs: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    middle = (hits + z * z / 2) / (runs + z * z)
    half = z / (runs + z * z) * sqrt(hits * (runs - hits) / runs + z * z / 4)
    return round(middle - half, 3), round(middle + half, 3)


def outcome(run: MachineRun) -> str:
    """The crash's title, or how the run ended without one."""
    report = parse(run.console)
    return report.title if report else run.ended


def build_kernel(place: Path, made: Demo, case: Case, revision: str) -> Path:
    """Build one revision in the case's configuration; returns the image."""
    builder = Builder(place / "builder", Artifacts(place / "artifacts", 1 << 40), place / "ccache")
    built = builder.build(Repo(made.repo), revision, Spec(case.config.read_text(), "tinyconfig"))
    if built.error:
        raise SystemExit(f"{revision} does not build: {built.error}")
    return built.kernel


def measure(place: Path, kernel: Path, case: Case, runs: int, machines: int) -> list[MachineRun]:
    """Boot ``runs`` fresh machines, ``machines`` at a time."""
    initramfs = build_initramfs(place / "machines")
    payload = prepare(case.repro, place / "machines").payload()
    accelerator = probe_acceleration(kernel, initramfs)
    config = MachineConfig(cpus=case.cpus)

    def one(_number: int) -> MachineRun:
        return run_machine(kernel, initramfs, payload, config, accelerator, crash_sign=first_sign)

    with ThreadPoolExecutor(machines) as pool:
        return list(pool.map(one, range(runs)))


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", default="c")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at", default="")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--machines", type=int, default=2)
    parser.add_argument("--kernel", type=Path)
    parser.add_argument("--keep", type=Path, help="directory to work in, kept afterwards")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        place = wanted.keep or Path(scratch)
        made = make_demo(place / "demo", wanted.seed, source=find_source())
        case = made.cases[wanted.case]
        revision = made.where.get(wanted.at) or (Repo(made.repo).resolve(wanted.at) if wanted.at else case.start)
        kernel = wanted.kernel or build_kernel(place, made, case, revision)
        runs = measure(place, kernel, case, wanted.runs, wanted.machines)
    counts = Counter(map(outcome, runs))
    clean = [run.run_seconds for run in runs if run.ended == "finished"]
    answer = {
        "case": case.name,
        "seed": wanted.seed,
        "revision": str(wanted.kernel or revision),
        "runs": len(runs),
        "outcomes": {
            name: {"runs": count, "share_95": wilson(count, len(runs))} for name, count in counts.most_common()
        },
        "boot_seconds": round(statistics.median(run.boot_seconds for run in runs), 2),
        "clean_run_seconds": round(statistics.median(clean), 2) if clean else None,
    }
    print(json.dumps(answer, indent=1))


if __name__ == "__main__":
    main()
