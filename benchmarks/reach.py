"""Does looking at what is reached change what is tested? The demo's race with and without, by turns.

With `--how session` the boots of the arm "on" are made as a session makes them: not watched, but every fifth comes
after a probe of its own, which is watched and counts for nothing. With `--how watched` those that count are watched.

    FIRSTBAD_HOME=... python -m benchmarks.reach --rows FILE [--how session] [--boots 500] [--seed 1] [--case c]

Prints one JSON object: crashes of each arm, the difference of their rates with its 95% interval (Newcombe 1998,
method 10), and medians of boot, clean run and time to the crash in seconds.
"""

import argparse
import json
import os
import random
import statistics
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from math import sqrt
from pathlib import Path
from typing import NamedTuple

from benchmarks.demo_rates import wilson
from firstbad.crash import first_sign, parse, symbolize
from firstbad.demo import demo_job, make_demo
from firstbad.engine import BuildRequest
from firstbad.history.git import Repo
from firstbad.home import home
from firstbad.session.aim import Aim, Aims
from firstbad.session.lab import make_engine
from firstbad.session.reach import reached, stack_of
from firstbad.vm import MachineConfig, MachineRun, build_initramfs, run_machine

ARMS = ("off", "on")
PROBE_EVERY = 5
CRASHED, CLEAN = ("panic", "crash"), ("finished", "timeout")


class Row(NamedTuple):
    """One boot. Times in seconds; ``load`` of the host."""

    arm: str
    ended: str
    boot_seconds: float
    run_seconds: float
    ran: dict[str, bool]
    load: float
    first: bool | None = None
    """It began before the other one of its pair. None: not noted."""


def difference(one: tuple[int, int], other: tuple[int, int]) -> tuple[float, float, float]:
    """The difference of two shares (hits, runs) and its 95% interval."""
    (a, n), (b, m) = one, other
    p, q = a / n, b / m
    (low_p, high_p), (low_q, high_q) = wilson(a, n), wilson(b, m)
    low = p - q - sqrt((p - low_p) ** 2 + (high_q - q) ** 2)
    high = p - q + sqrt((high_p - p) ** 2 + (q - low_q) ** 2)
    return round(p - q, 4), round(low, 4), round(high, 4)


class Bench:
    """One kernel and reproducer; ``aim`` once a crash was seen."""

    def __init__(self, name: str, seed: int) -> None:
        place = home()
        made = make_demo(place.root / "demo", seed)
        self.case = made.cases[name]
        engine = make_engine(place, demo_job(made, self.case, 0.99))
        self.built = engine.build(BuildRequest(made.repo, self.case.start)).result()
        self.payload, self.initramfs = engine.reproducer.payload(), build_initramfs(place.machines)
        self.acceleration = engine.probe(self.built.kernel)
        self.source = str(place.builders / "0" / "src")
        self.repo = Repo(made.repo)
        self.config = MachineConfig()
        engine.close()

    def run(self, aim: Aim | None) -> MachineRun:
        """One boot, with the aim's functions watched, or none."""
        config = replace(self.config, watched=aim.watched if aim else None)
        return run_machine(
            self.built.kernel, self.initramfs, self.payload, config, self.acceleration, crash_sign=first_sign
        )

    def learn(self) -> Aim:
        """The aim by the first crash that is seen."""
        for _ in range(40):
            report = parse(self.run(None).console)
            if report is not None:
                text = symbolize(report.report, self.built.directory / "vmlinux", self.source)
                stack = stack_of(report, text)
                return Aims(self.repo, self.case.start).at(self.case.start, self.built, stack, self.built.compiled())
        raise SystemExit("no crash in 40 boots")


def median(seconds: list[float]) -> float | None:
    """To the millisecond; None of nothing."""
    return round(statistics.median(seconds), 3) if seconds else None


def hits_of(rows: list[Row]) -> tuple[int, int]:
    """Crashes, boots."""
    return sum(row.ended in CRASHED for row in rows), len(rows)


def arm(rows: list[Row]) -> dict[str, object]:
    """What the boots of one arm showed."""
    crashed = [row for row in rows if row.ended in CRASHED]
    clean = [row for row in rows if row.ended in CLEAN]
    return {
        "boots": len(rows),
        "crashes": len(crashed),
        "other_ends": sorted({row.ended for row in rows}.difference(CRASHED, CLEAN)),
        "rate_95": wilson(len(crashed), len(rows)),
        "boot_seconds": median([row.boot_seconds for row in rows]),
        "clean_seconds": median([row.run_seconds for row in clean]),
        "crash_seconds": median([row.run_seconds for row in crashed]),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--how", choices=("session", "watched"), default="session")
    parser.add_argument("--case", default="c")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--boots", type=int, default=500, help="of each arm")
    parser.add_argument("--rows", type=Path, required=True, help="file of the boots, one a line; goes on where it ends")
    wanted = parser.parse_args()
    bench = Bench(wanted.case, wanted.seed)
    aim = bench.learn()
    assert aim.watched is not None, aim.why

    def one(number: int) -> None:
        # By turns, the one that begins drawn for each pair: two machines side by side are at different stages, and a
        # race may be lost more often beside one that boots than beside one that runs.
        pair = number // 2
        which = ARMS[(number + random.Random(f"{wanted.seed} {pair}").randrange(2)) % 2]
        if which == "on" and wanted.how == "session" and pair % PROBE_EVERY == 0:
            bench.run(aim)
        run = bench.run(aim if which == "on" and wanted.how == "watched" else None)
        with wanted.rows.open("a") as rows:
            row = (
                which,
                run.ended,
                run.boot_seconds,
                run.run_seconds,
                dict(run.ran),
                os.getloadavg()[0],
                number % 2 == 0,
            )
            rows.write(json.dumps(row) + "\n")

    have = len(wanted.rows.read_text().splitlines()) if wanted.rows.exists() else 0
    # Two machines at a time compete for two host CPUs, as they do in a bisection.
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, range(have, 2 * wanted.boots)))
    done = [Row(*json.loads(line)) for line in wanted.rows.read_text().splitlines()]
    runs = {name: [row for row in done if row.arm == name] for name in ARMS}
    arms = {name: arm(rows) for name, rows in runs.items()}
    hits = [hits_of(runs[name]) for name in ARMS[::-1]]
    turns = [hits_of([row for row in done if row.first is which]) for which in (True, False)]
    said = [reached(row.ran, aim.functions) for row in runs["on"] if row.ended in CLEAN]
    answer = {
        "case": bench.case.name,
        "watched": list(aim.watched.functions),
        **arms,
        "difference_95": difference(hits[0], hits[1]),
        "first_of_pair_difference_95": difference(turns[0], turns[1]) if all(n for _, n in turns) else None,
        "clean_watched_runs_that_reached": (
            round(said.count(True) / max(len(said), 1), 4) if wanted.how == "watched" else None
        ),
        "load": median([row.load for row in done]),
    }
    print(json.dumps(answer, indent=1))


if __name__ == "__main__":
    main()
