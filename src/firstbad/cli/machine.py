"""``doctor`` and ``gc``: commands about this machine."""

import os
import re
import shutil
import subprocess
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from firstbad.cli.output import out, say, say_json
from firstbad.home import GIB, home
from firstbad.kernel import data
from firstbad.kernel.artifacts import Artifacts
from firstbad.kernel.places import drop
from firstbad.kernel.toolchain import identity
from firstbad.session import is_running


@click.command(epilog="Example: firstbad doctor")
@click.option("--json", "as_json", is_flag=True, help="one JSON object a tool")
def doctor(as_json: bool) -> None:
    """What this machine has, what is missing, and the command that mends it. Exit status 1 if anything is."""
    rows = [_examine(tool) for tool in tomllib.loads(files("firstbad.cli").joinpath("tools.toml").read_text())["tool"]]
    if as_json:
        for row in rows:
            say_json(row)
    else:
        _print_rows(rows)
    if any(not row["ok"] and not row["optional"] for row in rows):
        raise SystemExit(1)


def _print_rows(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        mark, style = ("ok", "green") if row["ok"] else (("-", "dim") if row["optional"] else ("missing", "red"))
        out.print(f"{mark:8}{row['name']:32} {row['why']}", style=style, markup=False)
    for rule in data.load("toolchains.toml")["toolchain"]:
        line = identity(rule["cc"])
        out.print(
            f"{'ok' if line else '-':8}{rule['name']:32} {line or 'apt-get install ' + rule['package']}",
            style="green" if line else "dim",
            markup=False,
        )
    kvm = os.access("/dev/kvm", os.R_OK | os.W_OK)
    say(
        f"{'ok' if kvm else '-':8}{'/dev/kvm':32} "
        + (
            "there; whether it works shows when the first machine boots"
            if kvm
            else "not usable: machines run emulated, boots take about a second more"
        )
    )
    missing = sorted({row["package"] for row in rows if not row["ok"] and not row["optional"]})
    if missing:
        say(f"\nmend it with: apt-get install -y {' '.join(missing)}", style="bold")


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


@click.command(epilog="Example: firstbad gc --budget 5")
@click.option("--budget", type=click.FloatRange(min=0), help="disk budget in GiB  [default: $FIRSTBAD_DISK_GIB or 20]")
def gc(budget: float | None) -> None:
    """Bring the disk use within its budget: what was used longest ago goes first, events and logs never."""
    place = home()
    limit = place.budget if budget is None else int(budget * GIB)
    before = _size(place.root)
    if not any(is_running(job) for job in (place.root / "jobs").glob("*")):
        for builder in place.builders.glob("*"):
            drop(builder, limit // 4)
        if _size(place.ccache) > limit // 4:
            shutil.rmtree(place.ccache, ignore_errors=True)
    Artifacts(place.artifacts, limit).collect(limit=limit // 2)
    after = _size(place.root)
    say(f"{place.root}: {after / GIB:.2f} GiB of {limit / GIB:g} GiB ({(before - after) / GIB:.2f} GiB freed)")


def _size(path: Path) -> int:
    return sum(item.lstat().st_size for item in path.rglob("*") if item.is_file() and not item.is_symlink())


COMMANDS = (doctor, gc)
