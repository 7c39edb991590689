"""``python -m tests.acceptance.faults --seeds 400 --jobs 2``: the campaign, and its table. See docs/faults.md."""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from tests.acceptance.faults.plan import build_shim

_ROOT = Path(__file__).parents[3]
_OUTCOMES = ("went on", "said, resumed", "killed, resumed", "not reached")


def main() -> int:
    """Exit status 1 where something did not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="400", help="how many, or from-to")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--scenario", default="", help="run, flaky, kernel, worker or 'by hand' only")
    parser.add_argument("--kind", default="", help="one kind of fault only")
    parser.add_argument("--keep", type=Path, help="a directory where what went wrong stays")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no trial after that long")
    parser.add_argument("--json", action="store_true", help="a line a trial, and no table")
    given = parser.parse_args()
    first, _, last = given.seeds.partition("-")
    seeds = range(int(first), int(last) + 1) if last else range(int(first))
    with tempfile.TemporaryDirectory(prefix="faults-") as scratch:
        root = given.keep or Path(scratch)
        root.mkdir(parents=True, exist_ok=True)
        campaign = Campaign(root, given, list(seeds))
        campaign.run()
    if not given.json:
        campaign.table()
    return 1 if campaign.wrong or len(campaign.told) + campaign.seeds.qsize() < len(seeds) else 0


class Campaign:
    """Workers that share the seeds."""

    def __init__(self, root: Path, given: argparse.Namespace, seeds: list[int]) -> None:
        self.root, self.given, self.since = root, given, time.monotonic()
        self.seeds: Queue[int] = Queue()
        for seed in seeds:
            self.seeds.put(seed)
        self.told: list[dict[str, Any]] = []
        self.points: dict[str, dict[str, int]] = {}

    @property
    def wrong(self) -> list[dict[str, Any]]:
        """Trials in which something did not hold."""
        return [row for row in self.told if row["wrong"]]

    def run(self) -> None:
        """All seeds."""
        shim = build_shim(self.root)
        threads = [threading.Thread(target=self._worker, args=(shim, i)) for i in range(self.given.jobs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _worker(self, shim: Path, number: int) -> None:
        place = self.root / f"w{number}"
        place.mkdir()
        words = [sys.executable, "-m", "tests.acceptance.faults.worker", str(place)]
        env = {
            **os.environ,
            "PYTHONPATH": str(_ROOT / "src"),
            "LD_PRELOAD": str(shim),
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        with subprocess.Popen(
            [*words, self.given.scenario, self.given.kind],
            cwd=_ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert process.stdin is not None
            assert process.stdout is not None
            self._give(process)
            for line in process.stdout:
                row = json.loads(line)
                if "points" in row:
                    self.points[row["scenario"]] = row["points"]
                    continue
                self.told.append(row)
                self._show(row)
                self._give(process)

    def _give(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdin is not None
        try:
            if time.monotonic() > self.since + 60 * self.given.minutes:
                raise Empty
            process.stdin.write(f"{self.seeds.get_nowait()}\n")
            process.stdin.flush()
        except Empty:
            process.stdin.close()

    def _show(self, row: dict[str, Any]) -> None:
        if self.given.json:
            print(json.dumps(row), flush=True)
        elif row["wrong"]:
            kinds = " and ".join(row["kinds"])
            print(f"seed {row['seed']}: {row['scenario']}, {kinds} at {row['what']}: {row['how']}", flush=True)
            for one in row["wrong"]:
                print(f"    {one}", flush=True)
            print(f"    said: {row['words']}", flush=True)

    def table(self) -> None:
        """Points, and what became of each kind of fault."""
        for name, points in sorted(self.points.items()):
            print(f"{name:8} {sum(points.values()):5} points: {', '.join(f'{v} {k}' for k, v in points.items())}")
        print(f"\n{'fault':24}" + "".join(f"{name:>17}" for name in (*_OUTCOMES, "violations")))
        rows: dict[str, Counter[str]] = {}
        for told in self.told:
            name = told["kinds"][0] if len(told["kinds"]) == 1 else "two, one after the other"
            rows.setdefault(name, Counter())[told["outcome"]] += 1
            rows[name]["violations"] += bool(told["wrong"])
        rows = dict(sorted(rows.items())) | {"all": sum(rows.values(), Counter())}
        for name, counts in rows.items():
            print(f"{name:24}" + "".join(f"{counts[one]:>17}" for one in (*_OUTCOMES, "violations")))
        print(f"\n{len(self.told)} seeds, {len(self.wrong)} violations, {time.monotonic() - self.since:.0f} s")


sys.exit(main())
