"""A person who bisects by hand: many short commands, in the person's own work tree; one of them meets a fault."""

import json
import random
import re
import subprocess
from pathlib import Path

from tests.acceptance.faults import checks, sessions
from tests.acceptance.faults.kinds import KINDS, Fault, Kind, unmount_all
from tests.acceptance.faults.scenarios import Scenario
from tests.acceptance.faults.told import Told

_MOST = 40  # commands
_SAID = (1, 2, 128)
_FOUND = re.compile(r"^first bad commit: ([0-9a-f]{40})", re.MULTILINE)
# What git itself changes where somebody checks out, and our journal.
_OURS = re.compile(r"\.git/(?:index|ORIG_HEAD|logs/HEAD|firstbad/(?:last\.jsonl|lock))$")


class Person:
    """Follows what firstbad says, in the work tree of a copy of the scenario."""

    def __init__(self, scenario: Scenario, box: Path) -> None:
        self.scenario, self.box, self.repo = scenario, box, box / "in/repo"
        self.told = Told(0, "by hand", [])
        self.counts: list[dict[str, int]] = []
        self.offset = 0

    def bisect(self, fault: Fault | None = None, at: int = -1, says: str = "") -> None:
        """From ``start`` to ``reset``; the command with the number ``at`` meets the fault."""
        words = ["start", "HEAD", "v1"]
        for number in range(_MOST):
            before = self.journal()
            ended = self.command(words, fault if number == at else None)
            self.counts.append(ended.counts)
            if number == at:
                self.after(ended, fault, says)
            self.told.wrong += checks.lost(before, self.journal()) if before else []
            found = _FOUND.search(ended.out)
            if found:
                if found[1] != self.scenario.culprit:
                    self.told.wrong.append(f"another answer: {found[0]}")
                break
            if ended.status and number != at:
                self.told.wrong.append(f"{words} ended with {ended.status}: {ended.err.strip()[-300:]}")
                break
            words = self.next(ended.status)
        else:
            self.told.wrong.append("it found no end")
        if (last := self.command(["reset"], None)).status:
            self.told.wrong.append(f"reset ended with {last.status}: {last.err.strip()[-300:]}")

    def next(self, status: int) -> list[str]:
        """What is said next: of the revision that is checked out; after a command that failed, what `next` shows."""
        if status:
            return ["next"] if (self.repo / ".git/firstbad/events.jsonl").exists() else ["start", "HEAD", "v1"]
        return ["bad"] if (self.repo / "prog").read_text() == "exit 1\n" else ["good"]

    def command(self, words: list[str], fault: Fault | None) -> sessions.Ended:
        """One command."""
        if fault:
            fault.begin()
        env = self.scenario.environment(self.box)
        point, meet = (fault.point, fault.meet) if fault else (None, None)
        ended = sessions.run_session(
            words, box=self.box, cwd=self.repo, env=env, point=point, offset=self.offset, meet=meet
        )
        self.offset = ended.offset
        self.told.seconds += ended.seconds
        self.told.wrong += [f"process left: {one}" for one in sessions.left_processes()]
        return ended

    def after(self, ended: sessions.Ended, fault: Fault | None, says: str) -> None:
        """What is wrong with the end of the command that met the fault; then all is put right again."""
        assert fault is not None
        killed = ended.status == -9
        self.told.hit, self.told.what = ended.hit, [ended.what]
        self.told.how = ["killed" if killed else "could not" if ended.status else "found"]
        self.told.words = [ended.err.strip()[-400:]]
        if self.told.how != ["found"]:
            self.told.how.append("found")
        if ended.hung or "Traceback" in ended.err or (ended.status and not killed and ended.status not in _SAID):
            self.told.wrong.append(f"exit status {ended.status}: {ended.err.strip()[-600:]}")
        elif ended.status and not killed and not re.search(says, ended.err, re.IGNORECASE):
            self.told.wrong.append(f"the error does not say why: {ended.err.strip()[-300:]}")
        fault.heal()
        if ended.status:  # as after a `git checkout` that was killed or had no room
            for lock in (self.repo / ".git").glob("*.lock"):
                lock.unlink()
            subprocess.run(["git", "-C", str(self.repo), "reset", "-q", "--hard"], check=True)

    def journal(self) -> list[tuple[object, ...]]:
        """The answers that are recorded; of the bisection before where it was reset."""
        lines = checks.lines(self.repo / ".git/firstbad/events.jsonl")
        return [(1, number, json.loads(line)) for number, line in enumerate(lines) if line.endswith("}")]


def measure(scenario: Scenario, box: Path) -> list[dict[str, int]]:
    """The points of each command where nothing goes wrong. Raises AssertionError where the culprit is not found."""
    person = Person(scenario, box)
    person.bisect()
    assert not person.told.wrong, person.told.wrong
    return person.counts


def possible(counts: list[dict[str, int]]) -> list[Kind]:
    """The kinds of faults that can happen to a command."""
    kinds = [kind for kind in KINDS if not kind.machines and kind.name != "mounted read-only"]
    return [kind for kind in kinds if any(one[name] for one in counts for name in kind.classes)]


def run_by_hand(seed: int, scenario: Scenario, kind: Kind, counts: list[dict[str, int]], box: Path) -> Told:
    """One trial in ``box``, a copy of the scenario."""
    chance = random.Random(seed)
    places = [(i, name) for i, one in enumerate(counts) for name in kind.classes if one[name]]
    at, where = chance.choice(places)
    person = Person(scenario, box)
    before = checks.contents(person.repo)
    person.told.seed, person.told.kinds = seed, [kind.name]
    try:
        fault = kind.make(box, chance, where, chance.randint(1, counts[at][where]))
        person.bisect(fault, at, kind.says)
        person.told.wrong += _left(person.repo, before)
        person.told.wrong += [f"left in TMPDIR: {path.name}" for path in (box / "in/tmp").iterdir()]
    finally:
        sessions.kill_all()
        unmount_all(box)
    return person.told


def _left(repo: Path, before: dict[str, str]) -> list[str]:
    after = checks.contents(repo)
    changed = [name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]
    return [f"the user's repository: {name} is another" for name in changed if not _OURS.match(name)]
