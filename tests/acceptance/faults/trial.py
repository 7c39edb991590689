"""One trial: a scenario with one fault, or two one after the other, resumed until it ends; and what was wrong."""

import random
import re
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.acceptance.faults import checks, sessions
from tests.acceptance.faults.kinds import KINDS, NEEDS_MOUNTS, Fault, Kind, unmount_all
from tests.acceptance.faults.scenarios import Scenario
from tests.acceptance.faults.told import Told

_MOST = 5  # sessions without a fault that a job may take to its end


@dataclass
class Baseline:
    """A scenario without faults: its points by class, what it leaves by design, a warm data directory's machines."""

    counts: dict[str, int]
    usual: set[str]
    machines: int = 0


def make_box(scenario: Scenario, place: Path, warm: Path | None) -> Path:
    """A copy of a scenario to spoil; ``warm``: a data directory whose compiled programs are there already."""
    shutil.copytree(scenario.template, place, symlinks=True)
    if warm is not None and warm.exists():
        shutil.copytree(warm, place / "in/home" / warm.name)
    return place


def measure(scenario: Scenario, place: Path) -> Baseline:
    """The scenario without faults. Raises AssertionError where it does not find its culprit."""
    box = make_box(scenario, place, None)
    ended = _session(scenario, box, None, 0)
    how, wrong = _outcome(scenario, box, ended)
    assert (how, wrong) == ("found", []), (how, wrong, ended)
    if not scenario.machines:
        return Baseline(ended.counts, checks.names(box / "in/home"))
    made = len(list((box / "machines").iterdir()))
    return Baseline(ended.counts, checks.names(box / "in/home"), made)


def _outcome(scenario: Scenario, box: Path, ended: sessions.Ended) -> tuple[str, list[str]]:
    serves = scenario.before is not None
    return checks.outcome(ended, checks.answer(scenario, box, ended), scenario.culprit, serves)


def _session(scenario: Scenario, box: Path, fault: Fault | None, offset: int) -> sessions.Ended:
    if scenario.before is not None:
        sessions.apart(partial(scenario.before, box), scenario.environment(box))
    if fault:
        fault.begin()
    words = (scenario.again if checks.has_job(box) else scenario.words)(box)
    env = scenario.environment(box) | ((fault.env if fault else None) or {})
    meet = fault.meet if fault else None
    point = fault.point if fault else None
    return sessions.run_session(words, box=box, cwd=box / "in/repo", env=env, point=point, offset=offset, meet=meet)


def draw(box: Path, kind: Kind, baseline: Baseline, chance: random.Random) -> Fault:
    """A fault of that kind at a point that the scenario has."""
    where = chance.choice([name for name in kind.classes if baseline.counts[name]])
    most = baseline.machines if kind.machines else baseline.counts[where]
    return kind.make(box, chance, where, chance.randint(1, most))


def kinds_of(scenario: Scenario, mounts: bool) -> list[Kind]:
    """Those that can happen to a scenario here."""
    found = [kind for kind in KINDS if mounts or kind.name not in NEEDS_MOUNTS]
    # No worker begins a job where less than a GiB is free.
    small = () if scenario.before is None else ("full file system",)
    return [kind for kind in found if (scenario.machines or not kind.machines) and kind.name not in small]


def run_trial(
    seed: int, scenario: Scenario, wanted: list[Kind], baseline: Baseline, place: Path, warm: Path | None
) -> Told:
    """Let faults of these kinds happen, one a session, then go on without until the job ends."""
    chance = random.Random(seed)
    told = Told(seed, scenario.name, [kind.name for kind in wanted])
    box = make_box(scenario, place, warm if chance.random() < 0.75 else None)
    before = checks.contents(box / "in/repo")
    try:
        faults = [draw(box, kind, baseline, chance) for kind in wanted]
        _sessions(scenario, box, faults, [kind.says for kind in wanted], told)
        told.wrong += checks.left_behind(box, baseline.usual, before)
    finally:
        sessions.kill_all()
        unmount_all(box)
    return told


def _sessions(scenario: Scenario, box: Path, faults: list[Fault], says: list[str], told: Told) -> None:
    events, offset = checks.events_of(box), 0
    for number in range(len(faults) + _MOST):
        fault = faults[number] if number < len(faults) else None
        known = checks.Known(box, events)
        ended = _session(scenario, box, fault, offset)
        told.seconds += ended.seconds
        how, wrong = _outcome(scenario, box, ended)
        told.how.append(how)
        told.words.append(ended.err.strip()[-400:])
        told.wrong += [f"process left: {one}" for one in sessions.left_processes()]
        if fault:
            told.hit |= ended.hit or fault.point is None
            told.what.append(ended.what)
            if how == "could not" and not re.search(says[number], ended.err, re.IGNORECASE):
                told.wrong.append(f"the error does not say why: {ended.err.strip()[-300:]}")
            offset = ended.offset
            try:
                fault.heal()
            except FileNotFoundError as error:
                told.wrong.append(f"the user's lock was removed: {error.filename}")
        now = checks.events_of(box)
        told.wrong += [*wrong, *checks.lost(events, now), *checks.repeated(scenario, box, now, known)]
        events = now
        if how == "found":
            told.wrong += checks.too_many_runs(scenario, box, events, number + 1)
            return
        if fault is None:
            told.wrong.append(f"it did not go on when nothing was wrong any more: {ended.err.strip()[-300:]}")
            return
