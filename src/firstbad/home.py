"""Where firstbad keeps what it makes: ``$FIRSTBAD_HOME``, else ``$XDG_DATA_HOME/firstbad``."""

import os
from dataclasses import dataclass
from pathlib import Path

GIB = 1 << 30


@dataclass(frozen=True)
class Home:
    """Paths of one data directory. The disk budget, in bytes, is for kept builds (a half), the places
    where builders build and the compile cache (a quarter each)."""

    root: Path
    budget: int

    @property
    def database(self) -> Path:
        """Jobs and events."""
        return self.root / "firstbad.db"

    @property
    def artifacts(self) -> Path:
        """Built kernels."""
        return self.root / "artifacts"

    @property
    def builders(self) -> Path:
        """Work trees and output directories."""
        return self.root / "builders"

    @property
    def ccache(self) -> Path:
        """The compile cache."""
        return self.root / "ccache"

    @property
    def machines(self) -> Path:
        """Initramfs and compiled reproducers."""
        return self.root / "machines"

    @property
    def toolchains(self) -> Path:
        """Compilers that were unpacked there, found beside those on PATH (``gcc-8/bin/gcc``)."""
        return self.root / "toolchains"

    @property
    def mail_settings(self) -> Path:
        """Who sends mail through which server (TOML); it need not be there."""
        return self.root / "mail.toml"

    @property
    def optout(self) -> Path:
        """Addresses and domains that get no mail, one a line; it need not be there."""
        return self.root / "optout.txt"

    def job(self, number: int) -> Path:
        """Consoles, the bisection log and the lock of one job."""
        return self.root / "jobs" / str(number)


def home() -> Home:
    """The data directory that the environment names. ``FIRSTBAD_DISK_GIB`` is the disk budget, 20 by default."""
    base = os.environ.get("FIRSTBAD_HOME")
    root = Path(base) if base else Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "firstbad"
    try:
        gib = float(os.environ.get("FIRSTBAD_DISK_GIB", "20"))
    except ValueError:
        gib = 20.0
    return Home(root.absolute(), int(gib * GIB))
