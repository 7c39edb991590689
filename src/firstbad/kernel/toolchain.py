"""Which compiler builds a release, and what it calls itself; the rules are ``toolchains.toml``."""

import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from firstbad.errors import NotFoundError, not_killed
from firstbad.kernel import data
from firstbad.kernel.architecture import DEFAULT, Architecture, architecture
from firstbad.kernel.buildlog import plain_compiler

Rules = Sequence[dict[str, Any]]
FAMILIES = ("gcc", "clang")


@dataclass(frozen=True)
class Toolchain:
    """A compiler on this machine. ``identity`` is its own first line, as bisection logs print it."""

    name: str
    cc: str
    identity: str
    make: tuple[str, ...] = ()
    hostcc: str = ""
    """What builds the programs that the build itself runs; empty: ``cc``."""


def identity(cc: str) -> str | None:
    """First line of ``cc --version`` (``gcc (Debian 12.2.0-14) 12.2.0``), None if it is not installed.

    gcc prints the name it was called by: ``gcc-12 (Debian ...)`` and ``gcc (Debian ...)`` are the same compiler.
    """
    path = shutil.which(cc)
    return _said(path) if path else None


@cache
def _said(path: str) -> str | None:
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    not_killed(path, done.returncode)  # else another compiler would be taken, and build other kernels
    return plain_compiler(done.stdout.split("\n", 1)[0].strip()) or None


def choose(
    version: data.Version | None,
    wanted: str = "",
    arch: str = DEFAULT,
    dirs: Iterable[Path] = (),
    rules: Rules | None = None,
) -> Toolchain:
    """The compiler for a release: the one that is ``wanted`` by name, else the first of its family that fits.

    ``wanted`` may also be a family, ``gcc`` (the default) or ``clang``. For another architecture than this machine's,
    a cross compiler. ``dirs`` are directories with compilers beside those on PATH, ``rules`` other ones than the data
    file's. Raises NotFoundError that names the package to install, UserError for an unknown architecture.
    """
    architecture(arch)
    dirs = tuple(dirs)
    fitting = candidates(version, wanted, rules)
    for rule in fitting:
        found = installed(rule, arch, version, dirs)
        if found is not None:
            return found
    package = package_of(fitting[0], arch) if fitting else wanted or "gcc"
    raise NotFoundError(f"no compiler for this release is installed (apt-get install {package})")


def candidates(version: data.Version | None, wanted: str = "", rules: Rules | None = None) -> Rules:
    """Entries that may build a release, the preferred one first. Raises NotFoundError for an unknown name."""
    rules = _rules() if rules is None else rules
    if wanted and wanted not in FAMILIES:
        named = [rule for rule in rules if rule["name"] == wanted]
        if not named:
            raise NotFoundError(f"unknown toolchain {wanted!r}; known: {', '.join(rule['name'] for rule in rules)}")
        return named
    return [rule for rule in rules if rule["family"] == (wanted or "gcc") and data.applies(rule, version)]


def _rules() -> Rules:
    found: Rules = data.load("toolchains.toml")["toolchain"]
    return found


def _crosses(rule: dict[str, Any], target: Architecture) -> bool:
    """Whether a compiler of another name is needed: clang builds for every architecture."""
    return not target.is_native and rule["family"] != "clang"


def installed(
    rule: dict[str, Any], arch: str = DEFAULT, version: data.Version | None = None, dirs: Iterable[Path] = ()
) -> Toolchain | None:
    """An entry's compiler as it is on this machine, to build that release; None if it is not here."""
    target = architecture(arch)
    cross = target.cross if _crosses(rule, target) else ""
    for cc in _places(rule, cross, tuple(dirs)):
        line = identity(cc)
        if line is not None:
            prefix = cc.removesuffix(Path(cc).name) + cross
            make = [f"ARCH={target.make}", *([f"CROSS_COMPILE={prefix}"] if cross else [])]
            if rule["family"] == "clang":
                make += llvm_make(rule, cc, version)
                # Clang is told the target by this alone until 6f5b41a2f5a6.
                if not target.is_native and version is not None and version < (5, 15, 0):
                    make.append(f"CROSS_COMPILE={target.cross}")
            return Toolchain(rule["name"], cc, line, tuple(make), rule["cc"] if cross else "")
    return None


def _places(rule: dict[str, Any], cross: str, dirs: tuple[Path, ...]) -> list[str]:
    """Where an entry's compiler may be: its name on PATH, then files in directories."""
    places = [cross + rule["cc"]] if "cc" in rule else []
    for directory in dirs:
        if "path" in rule:
            path = directory / rule["path"]
            places.append(str(path.with_name(cross + path.name)))
        if "cc" in rule:
            places += [str(directory / cross) + rule["cc"] if cross else str(directory / rule["cc"])]
    return places


def llvm_make(rule: dict[str, Any], cc: str, version: data.Version | None) -> list[str]:
    """Arguments by which a tree of that release is told to use a clang and what belongs to it."""
    table = next(row for row in data.load("toolchains.toml")["llvm"] if data.applies(row, version))
    folder = cc.removesuffix(Path(cc).name)
    number = "" if folder or "version" not in rule else f"-{rule['version']}"
    if not folder and not number:
        return list(table["plain"])
    return [word.format(dir=folder, n=number) for word in table["make"]]


def package_of(rule: dict[str, Any], arch: str = DEFAULT) -> str:
    """Debian's packages of an entry."""
    target = architecture(arch)
    return f"{rule['package']}-{target.debian}" if _crosses(rule, target) else str(rule["package"])


def names() -> list[str]:
    """All toolchains of the data file."""
    return [rule["name"] for rule in _rules()]


def releases_of(rule: dict[str, Any]) -> str:
    """The releases that an entry builds, in words."""
    words = [f"{rule['from']} and later" if "from" in rule else "any release"]
    words += [f"before {rule['below']}"] if "below" in rule else []
    words += [f"up to {rule['until']}"] if "until" in rule else []
    return ", ".join(words)


def oldest(wanted: str = "", arch: str = DEFAULT, dirs: Iterable[Path] = ()) -> data.Version | None:
    """The oldest release that an installed compiler builds, or the one that is ``wanted``; None: no bound is known."""
    family = wanted if wanted in FAMILIES else "" if wanted else "gcc"
    rules = [rule for rule in _rules() if rule["family"] == family or rule["name"] == wanted]
    places = tuple(dirs)
    bounds = [rule.get("from") for rule in rules if installed(rule, arch, None, places)]
    return min((data.version_of(bound) for bound in bounds if bound), default=None) if all(bounds) else None
