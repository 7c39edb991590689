"""What reproducers are compiled for (``targets.toml``), and with which compiler on this host."""

import platform
import subprocess
from dataclasses import dataclass
from functools import cache
from typing import Any

from firstbad.errors import UserError
from firstbad.packaged import read_toml


@dataclass(frozen=True)
class Target:
    """One userspace architecture; see ``targets.toml`` for the fields. ``name`` is that of ``uname -m``."""

    name: str
    cross: str
    package: str
    cross_package: str
    syzkaller: str
    elf: int
    kernel: str = ""
    also: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    config: tuple[str, ...] = ()

    @property
    def kernel_name(self) -> str:
        """Architecture of the kernel that runs it."""
        return self.kernel or self.name

    @property
    def is_native(self) -> bool:
        """Whether this host runs it."""
        return platform.machine() == self.kernel_name

    def kernel_config(self) -> str:
        """Lines for the kernel's configuration."""
        return "".join(f"{line}\n" for line in self.config)

    def compiler(self, name: str = "gcc") -> str:
        """The command of a GNU compiler for this target on this host."""
        return name if self.is_native else self.cross + name

    def packages(self) -> str:
        """What to install on Debian where the compiler or its libraries are missing."""
        template = self.package if self.is_native else self.cross_package
        return template.format(major=_major()) if "{major}" in template else template


@cache
def targets() -> dict[str, Target]:
    """All targets by name."""
    return {name: _target(name, row) for name, row in read_toml(__package__, "targets.toml").items()}


def _target(name: str, row: dict[str, Any]) -> Target:
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    return Target(name, **fields)


def find_target(userspace: str, kernel: str) -> Target:
    """The target of a job: its ``userspace``, or where that is empty what its ``kernel`` architecture runs.

    Raises UserError for a name that ``targets.toml`` does not have, or that such a kernel does not run.
    """
    kernel = "x86_64" if kernel == "um" else kernel
    found = {name: t for t in targets().values() for name in (t.name, *t.also)}
    target, runs_on = found.get(userspace or kernel), found.get(kernel)
    if target is None or runs_on is None:
        unknown = (userspace or kernel) if target is None else kernel
        raise UserError(f"no architecture {unknown!r} for reproducers; there are: {', '.join(targets())}")
    if target.kernel_name != runs_on.name:
        raise UserError(f"a {runs_on.name} kernel does not run {target.name} programs")
    return target


@cache
def _major() -> str:
    """Major version of the host's gcc, for packages that name it; empty where there is no gcc."""
    try:
        done = subprocess.run(["gcc", "-dumpversion"], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip().partition(".")[0]
