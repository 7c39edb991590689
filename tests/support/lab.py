"""An engine that knows the truth and plays kernels: for tests of the session alone.

tests/acceptance has the same questions asked of real kernels.
"""

import hashlib
import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from firstbad.engine import BuildRequest, RunRequest
from firstbad.kernel.artifacts import Built
from firstbad.vm import Acceleration, MachineRun

_T = TypeVar("_T")

OOPS = """[    1.100000] BUG: kernel NULL pointer dereference, address: 0000000000000008
[    1.100001] #PF: supervisor read access in kernel mode
[    1.100002] #PF: error_code(0x0000) - not-present page
[    1.100003] PGD 0 P4D 0
[    1.100004] Oops: Oops: 0000 [#1] SMP
[    1.100005] CPU: 0 UID: 0 PID: 31 Comm: repro Not tainted 6.12.0 #1
[    1.100006] RIP: 0010:FUNC+0x1f/0x40
[    1.100007] Code: 00 00
[    1.100008] Call Trace:
[    1.100009]  <TASK>
[    1.100010]  FUNC_caller+0x10/0x20
[    1.100011]  do_syscall_64+0x40/0xe0
[    1.100012]  entry_SYSCALL_64_after_hwframe+0x4b/0x53
[    1.100013]  </TASK>
[    1.100014] ---[ end trace 0000000000000000 ]---
[    1.100015] Kernel panic - not syncing: Fatal exception
"""
WARNING = """[    1.000000] ------------[ cut here ]------------
[    1.000001] WARNING: CPU: 0 PID: 1 at lib/other.c:10 other_thing+0x30/0x50
[    1.000002] CPU: 0 UID: 0 PID: 1 Comm: init Not tainted 6.12.0 #1
[    1.000003] RIP: 0010:other_thing+0x30/0x50
[    1.000004] Call Trace:
[    1.000005]  <TASK>
[    1.000006]  other_worker+0x10/0x20
[    1.000007]  kthread+0xd0/0x100
[    1.000008]  </TASK>
[    1.000009] Kernel panic - not syncing: kernel: panic_on_warn set ...
"""


_PROOF = re.compile("-(?:revert|fix)-")


@dataclass
class Lab:
    """``has_bug`` says of a hash whether the bug is there; chances are decided by the run's place alone."""

    directory: Path
    has_bug: Callable[[str], bool]
    crash_rate: float = 1.0
    stranger_rate: float = 0.0
    broken: frozenset[str] = frozenset()
    unbootable: frozenset[str] = frozenset()
    signatures: dict[str, str] = field(default_factory=dict)
    stale: dict[str, str] = field(default_factory=dict)
    """Revisions whose incremental build wrongly gives another one's kernel."""
    machines: int = 2
    builders: int = 1
    named: list[list[tuple[str, float]]] = field(default_factory=list)
    """What the session said that it will probably want, each time."""
    seed: int = 0
    builds: list[str] = field(default_factory=list)
    fresh: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    before_run: Callable[[], None] = lambda: None
    function: str = "demo_read"
    reverts: Literal["gone", "still", "conflict"] = "gone"
    """What becomes of the bug where its culprit is reverted."""
    acceleration: Acceleration | None = None

    def build(self, request: BuildRequest) -> Future[Built]:
        if request.patch:
            error = "the patch does not apply" if self.reverts == "conflict" else ""
            return done(Built("patched", self.directory, "patched", "gcc (GCC) 12.2.0", 7.0, error))
        made = self.fresh if request.fresh else self.builds
        cached = request.commit in made
        if not cached:
            made.append(request.commit)
        error = "a.c:1: error: nonsense" if request.commit in self.broken else ""
        holds = self._holds(request.commit)
        signature = "" if error else self.signatures.get(holds, holds)
        return done(Built(request.commit, self.directory, signature, "gcc (GCC) 12.2.0", 7.0, error, cached))

    def _holds(self, commit: str) -> str:
        """The revision whose kernel is in the store: a fresh build puts the right one there."""
        return commit if commit in self.fresh else self.stale.get(commit, commit)

    def ahead(self, requests: Sequence[tuple[BuildRequest, float]]) -> list[Future[Built]]:
        """All that is named is built at once."""
        self.named.append([(request.commit, chance) for request, chance in requests])
        return [self.build(request) for request, _ in requests]

    def run(self, request: RunRequest) -> Future[MachineRun]:
        self.before_run()
        commit = next(c for c in self.builds if request.console.name.startswith(c[:12]))
        self.runs.append(request.console.name)
        chance = _chance(self.seed, request.console.name)
        if commit in self.unbootable:
            return done(MachineRun("boot-failed", False, b"[ 0.0] nothing\n", None, 1, 0, "no sign of life"))
        if chance(0) < self.stranger_rate:
            return done(MachineRun("panic", True, WARNING.encode(), None, 1, 0.5, ""))
        there = self.has_bug(self._holds(commit)) and not (
            self.reverts == "gone" and _PROOF.search(request.console.name)
        )
        if there and chance(1) < self.crash_rate:
            return done(MachineRun("panic", True, OOPS.replace("FUNC", self.function).encode(), None, 1, 0.5, ""))
        return done(MachineRun("finished", True, b"[ 0.0] Linux\n", 0, 1, 1, ""))

    def close(self) -> None:
        self.closed = threading.Event()


def _chance(seed: int, name: str) -> Callable[[int], float]:
    def draw(which: int) -> float:
        digest = hashlib.sha256(f"{seed} {name} {which}".encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64

    return draw


def done(value: _T) -> "Future[_T]":
    future: Future[_T] = Future()
    future.set_result(value)
    return future
