"""A process that makes trials, one after the other: reads seeds, prints what each came to. Started by __main__.py."""

import dataclasses
import json
import random
import sys
import traceback
from pathlib import Path

from tests.acceptance.faults import scenarios, sessions
from tests.acceptance.faults.kinds import KINDS, NEEDS_MOUNTS, Kind, may_mount
from tests.acceptance.faults.trial import Baseline, Told, kinds_of, measure, run_trial

_SCENARIOS = ("run", "run", "flaky", "kernel", "kernel")
_PAIRS = 0.2


def main() -> None:
    """Arguments: a directory, scenario and kind ("" for any), ``seed`` each; a line of JSON a trial."""
    root, only, kind = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    import firstbad.cli.bisect
    import firstbad.cli.project  # noqa: F401 - what sessions would import, each by itself

    sessions.become_reaper()
    mounts = may_mount()
    made = {name: make(root) for name, make in scenarios.ALL.items() if only in ("", name)}
    known: dict[str, Baseline] = {}
    for name, scenario in made.items():
        known[name] = measure(scenario, root / f"{name}-baseline")
        print(json.dumps({"scenario": name, "points": known[name].counts, "mounts": mounts}), flush=True)
    for line in sys.stdin:
        seed = int(line)
        chance = random.Random(f"{seed} what")
        first = _kind(seed, mounts, kind)
        name = chance.choice([one for one in _SCENARIOS if one in made and (made[one].machines or not first.machines)])
        second = chance.choice(kinds_of(made[name], mounts))
        wanted = [first, second] if chance.random() < _PAIRS else [first]
        try:
            told = run_trial(
                seed, made[name], wanted, known[name], root / f"box-{seed}", root / f"{name}-baseline/in/home/machines"
            )
        except Exception:
            told = Told(seed, name, [one.name for one in wanted], wrong=[f"the campaign: {traceback.format_exc()}"])
        print(json.dumps({**dataclasses.asdict(told), "outcome": told.outcome}), flush=True)


def _kind(seed: int, mounts: bool, only: str) -> Kind:
    """Each in turn: as many seeds as there are kinds see all of them."""
    found = [kind for kind in KINDS if only in ("", kind.name) and (mounts or kind.name not in NEEDS_MOUNTS)]
    return found[seed % len(found)]


main()
