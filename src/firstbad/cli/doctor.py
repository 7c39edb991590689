"""``doctor``: what this machine has, what is missing, and the command (or, on request, the deed) that mends it."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from firstbad.cli.output import out, say, say_json
from firstbad.errors import InfrastructureError, NotFoundError, UserError
from firstbad.home import home
from firstbad.kernel import data
from firstbad.kernel.architecture import DEFAULT
from firstbad.kernel.toolchain import FAMILIES, candidates, choose, installed, package_of, releases_of
from firstbad.packaged import read_toml
from firstbad.repro.confined import available as confined_here


@click.command(epilog="Example: firstbad doctor --install clang-16")
@click.argument("names", nargs=-1)
@click.option("--arch", default=DEFAULT, show_default=True, help="compilers for this architecture")
@click.option("--install", is_flag=True, help="install what is missing, by apt-get (as root, or with sudo)")
@click.option("--json", "as_json", is_flag=True, help="one JSON object a tool")
def doctor(names: tuple[str, ...], arch: str, install: bool, as_json: bool) -> None:
    """What this machine has, what is missing, and the command that mends it. Exit status 1 if anything is.

    NAMES are optional tools and compilers that have to be there too, such as clang-16.
    """
    rows = _rows(names, arch)
    if install:
        _install(_packages(rows))
        rows = _rows(names, arch)
    if as_json:
        for row in rows:
            say_json(row)
    else:
        _print_rows(rows, arch)
    if any(not row["ok"] and not row["optional"] for row in rows):
        raise SystemExit(1)


def _rows(names: Sequence[str], arch: str) -> list[dict[str, Any]]:
    """Every tool and compiler; those that are named are not optional. Raises UserError for an unknown name."""
    tools = read_toml(__package__, "tools.toml")["tool"]
    rows = [_examine(tool) for tool in tools]
    rows += [_examine_compiler(rule, arch) for rule in data.load("toolchains.toml")["toolchain"]]
    for name in names:
        named = [row for row in rows if row["name"] == name]
        if not named:
            raise UserError(f"doctor: nothing is called {name!r}; known: {', '.join(row['name'] for row in rows)}")
        for row in named:
            row["optional"] = False
    return rows


def _packages(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Debian's packages of what is missing and not optional."""
    return sorted({name for row in rows if not row["ok"] and not row["optional"] for name in row["package"].split()})


def _install(packages: Sequence[str]) -> None:
    if not packages:
        return
    if shutil.which("apt-get") is None:
        raise UserError(f"--install: no apt-get here; install {' '.join(packages)} as this system does it")
    root = [] if os.geteuid() == 0 else ["sudo"]
    command = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "--no-install-recommends"]
    # What it prints is for people, not for those who read our standard output.
    done = subprocess.run([*command, *packages], stdout=2, check=False)
    if done.returncode:
        raise InfrastructureError(f"apt-get install {' '.join(packages)} failed: see above (apt-get update may help)")


def _print_rows(rows: Sequence[dict[str, Any]], arch: str) -> None:
    for row in rows:
        mark, style = ("ok", "green") if row["ok"] else (("-", "dim") if row["optional"] else ("missing", "red"))
        out.print(f"{mark:8}{row['name']:32} {row['why']}", style=style)
    kvm = os.access("/dev/kvm", os.R_OK | os.W_OK)
    _print_fact(
        kvm,
        "/dev/kvm",
        "there; whether it works shows when the first machine boots"
        if kvm
        else "not usable: machines run emulated, boots take about a second more",
    )
    confined = confined_here()
    _print_fact(
        confined,
        "Landlock",
        f"{'' if confined else 'not in this kernel: '}reproducers are compiled where "
        + ("no file of this host can be opened" if confined else "their source can take in any file that you can read"),
    )
    say("\ncompilers by release, as jobs get them:", style="bold")
    for span, family, name in _choices(arch):
        say(f"  {span:30} {family:6} {name}")
    missing = _packages(rows)
    if missing:
        say(f"\nmend it with: firstbad doctor --install, or apt-get install -y {' '.join(missing)}", style="bold")


def _print_fact(ok: bool, name: str, words: str) -> None:
    say(f"{'ok' if ok else '-':8}{name:32} {words}")


def _choices(arch: str) -> list[tuple[str, str, str]]:
    """Releases, family, and the compiler that a job of those releases gets, or what to install for one."""
    found: list[tuple[str, str, str]] = []
    rules = data.load("toolchains.toml")["toolchain"]
    for family in FAMILIES:
        bounds = {data.version_of(rule[key]): rule[key] for rule in rules for key in ("from", "below") if key in rule}
        starts = [((2, 6, 0), ""), *sorted(bounds.items())]
        names = [_choice(version, family, arch) for version, _ in starts]
        changes = [i for i, name in enumerate(names) if i == 0 or name != names[i - 1]]
        for i, following in zip(changes, [*changes[1:], None], strict=True):
            since = starts[i][1]
            before = f"before {starts[following][1]}" if following is not None else ""
            span = f"{since} to {before}" if since and before else before or f"{since} and later"
            found.append((span.replace("to before", "and later, before"), family, names[i]))
    return found


def _choice(version: data.Version, family: str, arch: str) -> str:
    try:
        tools = choose(version, family, arch, [home().toolchains])
    except NotFoundError:
        fitting = candidates(version, family)
        return f"none here: apt-get install {package_of(fitting[0], arch)}" if fitting else "none builds it"
    return f"{tools.name}: {tools.identity}"


def _examine_compiler(rule: dict[str, Any], arch: str) -> dict[str, Any]:
    found = installed(rule, arch, dirs=[home().toolchains])
    line = found.identity if found else ""
    return {
        "name": rule["name"],
        "ok": bool(line),
        "package": package_of(rule, arch),
        "why": f"{line or 'apt-get install ' + package_of(rule, arch)} ({releases_of(rule)})",
        "optional": True,
        "identity": line,
        "releases": releases_of(rule),
    }


def _examine(tool: dict[str, Any]) -> dict[str, Any]:
    name = next(tool[key] for key in ("command", "library", "header", "file") if key in tool)
    if "command" in tool:
        ok = shutil.which(tool["command"]) is not None and _new_enough(tool)
    elif "library" in tool:
        ok = Path(_compiler("-print-file-name=" + tool["library"])).is_absolute()
    elif "header" in tool:
        ok = _compiles(f"#include <{tool['header']}>\n")
    else:
        pattern = Path(tool["file"])
        ok = any(pattern.parent.glob(pattern.name))
    return {
        "name": name,
        "ok": ok,
        "package": tool["package"],
        "why": tool["why"],
        "optional": bool(tool.get("optional")),
    }


def _new_enough(tool: dict[str, Any]) -> bool:
    if "least" not in tool:
        return True
    done = subprocess.run([tool["command"], "--version"], capture_output=True, text=True, check=False)
    match = re.search(r"(\d+)\.(\d+)", done.stdout)
    return match is not None and [int(part) for part in match.groups()] >= tool["least"]


def _compiler(argument: str) -> str:
    if shutil.which("gcc") is None:
        return ""
    return subprocess.run(["gcc", argument], capture_output=True, text=True, check=False).stdout.strip()


def _compiles(source: str) -> bool:
    if shutil.which("gcc") is None:
        return False
    command = ["gcc", "-x", "c", "-fsyntax-only", "-"]
    return subprocess.run(command, input=source, capture_output=True, text=True, check=False).returncode == 0


COMMANDS = (doctor,)
