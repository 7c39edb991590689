"""Which compiler builds a release, and what it calls itself."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from typing import Any

from firstbad.errors import NotFoundError
from firstbad.kernel import data
from firstbad.kernel.architecture import DEFAULT, Architecture, architecture


@dataclass(frozen=True)
class Toolchain:
    """A compiler on this machine. ``identity`` is its own first line, as bisection logs print it."""

    name: str
    cc: str
    identity: str
    make: tuple[str, ...] = ()
    hostcc: str = ""
    """What builds the programs that the build itself runs; empty: ``cc``."""


@cache
def identity(cc: str) -> str | None:
    """First line of ``cc --version`` (``gcc-12 (Debian 12.2.0-14) 12.2.0``), None if it is not installed."""
    path = shutil.which(cc)
    if path is None:
        return None
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    line = done.stdout.split("\n", 1)[0].strip()
    # gcc prints the name it was called by: "gcc-12 (Debian ...)" and "gcc (Debian ...)" are the same compiler.
    return line.replace(f"{cc} (", f"{re.sub(r'-[0-9.]+$', '', cc)} (", 1) or None


def choose(version: data.Version | None, wanted: str = "", arch: str = DEFAULT) -> Toolchain:
    """The compiler for a release: the one that is ``wanted`` by name, else the first installed that fits.

    For another architecture than this machine's, a cross compiler. Raises NotFoundError that names the package to
    install, UserError for an unknown architecture.
    """
    target = architecture(arch)
    rules = data.load("toolchains.toml")["toolchain"]
    if wanted:
        rules = [rule for rule in rules if rule["name"] == wanted]
        if not rules:
            raise NotFoundError(f"unknown toolchain {wanted!r}; known: {', '.join(names())}")
    else:
        rules = [rule for rule in rules if rule["name"].startswith("gcc") and data.applies(rule, version)]
    for rule in rules:
        found = _installed(rule, target)
        if found is not None:
            return found
    package = _package(rules[0], target) if rules else "gcc"
    raise NotFoundError(f"no compiler for this release is installed (apt-get install {package})")


def _crosses(rule: dict[str, Any], target: Architecture) -> bool:
    """Whether a compiler of another name is needed: clang builds for every architecture."""
    return not target.is_native and not rule["name"].startswith("clang")


def _installed(rule: dict[str, Any], target: Architecture) -> Toolchain | None:
    cross = target.cross if _crosses(rule, target) else ""
    line = identity(cross + rule["cc"])
    if line is None:
        return None
    make = (f"ARCH={target.make}", *([f"CROSS_COMPILE={cross}"] if cross else []), *rule.get("make", ()))
    return Toolchain(rule["name"], cross + rule["cc"], line, make, rule["cc"] if cross else "")


def _package(rule: dict[str, Any], target: Architecture) -> str:
    return f"{rule['package']}-{target.debian}" if _crosses(rule, target) else str(rule["package"])


def names() -> list[str]:
    """All toolchains of the data file."""
    return [rule["name"] for rule in data.load("toolchains.toml")["toolchain"]]


def oldest(wanted: str = "", arch: str = DEFAULT) -> data.Version | None:
    """The oldest release that an installed compiler builds, or the one that is ``wanted``; None: no bound is known."""
    target = architecture(arch)
    rules = [rule for rule in data.load("toolchains.toml")["toolchain"]
             if (rule["name"] == wanted if wanted else rule["name"].startswith("gcc"))]  # fmt: skip
    bounds = [rule.get("from") for rule in rules if _installed(rule, target)]
    return min((data.version_of(bound) for bound in bounds if bound), default=None) if all(bounds) else None
