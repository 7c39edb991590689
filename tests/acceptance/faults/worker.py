"""A process that makes trials, one after the other: reads seeds, prints what each came to. Started by __main__.py."""

import dataclasses
import json
import random
import shutil
import sys
import traceback
from pathlib import Path
from typing import Protocol

from tests.acceptance.faults import by_hand, scenarios, sessions
from tests.acceptance.faults.kinds import KINDS, Kind, may_mount
from tests.acceptance.faults.told import Told
from tests.acceptance.faults.trial import kinds_of, make_box, measure, run_trial

_WEIGHTS = {"run": 4, "flaky": 2, "kernel": 6, "worker": 2, "by hand": 3}
_PAIRS = 0.2


class Trials(Protocol):
    """One scenario's trials."""

    points: dict[str, int]
    kinds: list[Kind]

    def make(self, seed: int, kind: Kind, chance: random.Random, box: Path) -> Told:
        """One trial, with this kind of fault."""


class Jobs:
    """Trials of a job; some have a second fault in the session after the first."""

    def __init__(self, scenario: scenarios.Scenario, root: Path, mounts: bool) -> None:
        self.scenario = scenario
        kept = root / f"{scenario.name}-baseline"
        self.baseline, self.warm = measure(scenario, kept), kept / "in/home/machines"
        self.points, self.kinds = self.baseline.counts, kinds_of(scenario, mounts)

    def make(self, seed: int, kind: Kind, chance: random.Random, box: Path) -> Told:
        """One trial, with this kind of fault."""
        wanted = [kind, chance.choice(self.kinds)] if chance.random() < _PAIRS else [kind]
        return run_trial(seed, self.scenario, wanted, self.baseline, box, self.warm)


class ByHand:
    """Trials of a person who bisects the history of a scenario by hand."""

    def __init__(self, scenario: scenarios.Scenario, root: Path, mounts: bool) -> None:
        self.scenario = scenario
        self.counts = by_hand.measure(scenario, make_box(scenario, root / "by-hand-baseline", None))
        self.points = {name: sum(one[name] for one in self.counts) for name in self.counts[0]}
        self.kinds = [kind for kind in by_hand.possible(self.counts) if mounts or kind.name != "full file system"]

    def make(self, seed: int, kind: Kind, chance: random.Random, box: Path) -> Told:
        """One trial, with this kind of fault."""
        return by_hand.run_by_hand(seed, self.scenario, kind, self.counts, make_box(self.scenario, box, None))


def main() -> None:
    """Arguments: a directory, scenario and kind ("" for any), ``seed`` each; a line of JSON a trial."""
    root, only, kind = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    import firstbad.cli.bisect
    import firstbad.cli.hand
    import firstbad.cli.project
    import firstbad.cli.worker
    import firstbad.worker  # noqa: F401 - what sessions would import, each by itself

    sessions.become_reaper()
    mounts = may_mount()
    trials = _trials(root, only, mounts)
    for name, one in trials.items():
        print(json.dumps({"scenario": name, "points": one.points, "mounts": mounts}), flush=True)
    possible = [one for one in KINDS if kind in ("", one.name) and any(one in some.kinds for some in trials.values())]
    for line in sys.stdin:
        seed = int(line)
        chance = random.Random(f"{seed} what")
        first = possible[seed % len(possible)]  # each in turn: as many seeds as there are kinds see all of them
        names = [name for name, some in trials.items() if first in some.kinds]
        name = chance.choices(names, [_WEIGHTS[one] for one in names])[0]
        box = root / f"box-{seed}"
        try:
            told = trials[name].make(seed, first, chance, box)
        except Exception:
            told = Told(seed, name, [first.name], wrong=[f"the campaign: {traceback.format_exc()}"])
        if not told.wrong:
            shutil.rmtree(box)
        print(json.dumps({**dataclasses.asdict(told), "outcome": told.outcome}), flush=True)


def _trials(root: Path, only: str, mounts: bool) -> dict[str, Trials]:
    found: dict[str, Trials] = {}
    for name, make in scenarios.ALL.items():
        if only in ("", name) or (only == "by hand" and name == "run"):
            scenario = make(root)
            if only in ("", name):
                found[name] = Jobs(scenario, root, mounts)
            if name == "run" and only in ("", "by hand"):
                found["by hand"] = ByHand(scenario, root, mounts)
    return found


main()
