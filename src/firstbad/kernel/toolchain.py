"""Which compiler builds a release, and what it calls itself."""

import shutil
import subprocess
from dataclasses import dataclass
from functools import cache

from firstbad.errors import NotFoundError
from firstbad.kernel import data


@dataclass(frozen=True)
class Toolchain:
    """A compiler on this machine. ``identity`` is its own first line, as bisection logs print it."""

    name: str
    cc: str
    identity: str
    make: tuple[str, ...] = ()


@cache
def identity(cc: str) -> str | None:
    """First line of ``cc --version`` (``gcc-12 (Debian 12.2.0-14) 12.2.0``), None if it is not installed."""
    path = shutil.which(cc)
    if path is None:
        return None
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    line = done.stdout.split("\n", 1)[0].strip()
    # gcc prints the name it was called by: "gcc-12 (Debian ...)" and "gcc (Debian ...)" are the same compiler.
    return line.replace(f"{cc} (", f"{cc.split('-')[0]} (", 1) or None


def choose(version: data.Version | None, wanted: str = "") -> Toolchain:
    """The compiler for a release: the one that is ``wanted`` by name, else the first installed that fits.

    Raises NotFoundError that names the package to install.
    """
    rules = data.load("toolchains.toml")["toolchain"]
    if wanted:
        rules = [rule for rule in rules if rule["name"] == wanted]
        if not rules:
            raise NotFoundError(f"unknown toolchain {wanted!r}; known: {', '.join(names())}")
    else:
        rules = [rule for rule in rules if rule["name"].startswith("gcc") and data.applies(rule, version)]
    for rule in rules:
        line = identity(rule["cc"])
        if line is not None:
            return Toolchain(rule["name"], rule["cc"], line, tuple(rule.get("make", ())))
    package = rules[0]["package"] if rules else "gcc"
    raise NotFoundError(f"no compiler for this release is installed (apt-get install {package})")


def names() -> list[str]:
    """All toolchains of the data file."""
    return [rule["name"] for rule in data.load("toolchains.toml")["toolchain"]]
