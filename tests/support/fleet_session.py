"""A session whose builds are made by a fleet, of the miniature tree; machines are played, by what kernels hold.

As a process of its own, to be killed: ``python -m tests.support.fleet_session ROOT NUMBER ADDRESS BAD``.
"""

import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from elftools.elf.elffile import ELFFile

from firstbad.engine import RunRequest
from firstbad.fleet.engine import FleetEngine
from firstbad.fleet.link import Link
from firstbad.fleet.shelf import Shelf
from firstbad.home import Home
from firstbad.kernel.build import Spec
from firstbad.repro import Reproducer
from firstbad.session import Bisection
from firstbad.store import Store
from firstbad.vm import MachineRun
from tests.support.lab import OOPS
from tests.support.stories import Quiet

SPEC = Spec("CONFIG_MINE=y\n", "tinyconfig")


class Played(FleetEngine):
    """The bug is where the kernel's value is at least ``bad``. Clean runs take longer."""

    bad = 0

    def run(self, request: RunRequest) -> "Future[MachineRun]":
        self.players = getattr(self, "players", None) or ThreadPoolExecutor(self.machines)
        return self.players.submit(self._play, request)

    def _play(self, request: RunRequest) -> MachineRun:
        there = value_of(request.kernel.parent / "vmlinux") >= self.bad
        time.sleep(0.1 if there else 0.3)
        text = OOPS.replace("FUNC", "value_read") if there else "[ 0.0] Linux\n"
        request.console.parent.mkdir(parents=True, exist_ok=True)
        request.console.write_text(text)
        if there:
            return MachineRun("panic", True, text.encode(), None, 1, 0.1, "")
        return MachineRun("finished", True, text.encode(), 0, 1, 0.3, "")


def value_of(vmlinux: Path) -> int:
    """What the miniature kernel's variable holds."""
    with vmlinux.open("rb") as file:
        elf = ELFFile(file)
        (symbol,) = elf.get_section_by_name(".symtab").get_symbol_by_name("value")
        section = elf.get_section(symbol["st_shndx"])
        at = symbol["st_value"] - section["sh_addr"]
        return int.from_bytes(section.data()[at : at + 4], "little")


def session(root: Path, number: int, address: str, bad: int) -> Bisection:
    """Goes on with a job; its data directory is ``root/session``, the fleet's shelf ``root/shelf``."""
    place = Home(root / "session", 1 << 30)
    nothing = Reproducer(Path("x"), "c", "0" * 64, (), ("/bin/true",))

    def engine(home: Home, _: object) -> Played:
        made = Played(home, SPEC, nothing, Link(address, None, 60.0), Shelf(str(root / "shelf")))
        made.bad = bad
        return made

    return Bisection(Store(place.database), number, place, Quiet(), engine=engine)


if __name__ == "__main__":
    session(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])).run()
