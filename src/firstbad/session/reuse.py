"""Runs that were made for another job are not made again: those of the same kernel (or revision and build), machine and
reproducer (or test) count as if they had been made here, each of them once in a job, in the order they were made.

Builds are found by what keeps them (``kernel/artifacts.py``, ``project/trees.py``). What proves an answer is always run
anew: confirmations, the runs without the culprit, and the tests that a person asks for. So is what a command at a
terminal runs: who starts it a second time wants to see it again.
"""

import base64
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from firstbad.home import Home
from firstbad.store import Event, Known, Result, Store
from firstbad.vm import MachineConfig, MachineRun

FRESH = ("confirm", "test")
"""Phases whose runs are this job's own."""
_BIG = 64 << 20  # bytes of a file that is not looked into
_KEPT = ("ended", "booted", "exit_status", "boot_seconds", "run_seconds", "detail")


class Reuse:
    """The runs of others that one job may take over."""

    def __init__(self, store: Store, number: int, events: list[Event]) -> None:
        self.store, self.number = store, number
        stored = store.job(number)
        self.project, self.queued = stored.project, stored.queued
        told = (event.data["reused"] for event in events if event.kind == "run" and "reused" in event.data)
        self._used = {(one["job"], one["seq"]) for one in told}

    def runs(self, key: str, phase: str) -> list[Known]:
        """Those of one key that this job has not taken yet, for a step of this phase."""
        if not self.queued or not key or phase in FRESH:
            return []
        known = self.store.results("run", key, self.project)
        return [one for one in known if one.job_id != self.number and (one.job_id, one.seq) not in self._used]

    def take(self, found: Known) -> dict[str, int]:
        """This job uses a run; what its event says of that."""
        self._used.add((found.job_id, found.seq))
        return {"job": found.job_id, "seq": found.seq}


def key_of(*parts: object) -> str:
    """A key of all that a run depends on."""
    return sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def command_key(words: Sequence[str], directory: str) -> list[str]:
    """A command with what its files hold, those that are no part of the revisions."""
    found = []
    for word in words:
        file = Path(directory, word) if word else Path()
        try:
            found.append(sha256(file.read_bytes()).hexdigest() if file.stat().st_size < _BIG else word)
        except (OSError, ValueError):
            found.append(word)
    return found


def machine_key(signature: str, identity: str, machine: MachineConfig) -> str:
    """The key of runs in a machine, of whatever length. ``identity``: of reproducer and host, see
    `LocalEngine.identity`."""
    others = ("keep", "snapshot", "watched", "run_seconds")
    size = {name: value for name, value in asdict(machine).items() if name not in others}
    return key_of("machine", signature, identity, size)


def result_of(key: str, done: MachineRun, limit: float, console: Path, home: Home) -> Result:
    """A run that was allowed ``limit`` seconds as a result for others; its console stays where it is."""
    data: dict[str, Any] = {name: getattr(done, name) for name in _KEPT}
    data |= {
        "limit": limit,
        "output": base64.b64encode(done.output).decode(),
        "console": str(console.relative_to(home.root)),
    }
    return Result("run", key, data)


def machine_run(data: dict[str, Any], limit: float, home: Home, console: Path) -> MachineRun | None:
    """A result as a run again, with its console at ``console`` too; None where that is on another machine or gone, and
    where the run was to end before ``limit`` seconds: of those the crashes alone would tell as much as here."""
    if data["limit"] < limit - 0.001:
        return None
    kept = home.root / str(data.get("console", ""))
    try:
        text = kept.read_bytes()
        console.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(kept, console)
    except OSError:
        return None
    found = {name: data[name] for name in _KEPT}
    return MachineRun(**found, console=text, output=base64.b64decode(data["output"]))
