"""Every benchmark once, one after the other, on this machine: what each printed, and a table of what they took.

    python -m benchmarks.everything OUT [--labelled DIR] [--cases DIR --clones DIR] [--only NAME ...] [--no-kernels]

Which, with which arguments: everything.toml. OUT/TITLE.txt has the command and what it printed; OUT/all.md is the
table. What is in OUT already is not run again, so it can be ended and begun again. Exit status 1 if one failed.
`jobs` is left out: it needs a clone, a range and commands of its own.
"""

import argparse
import json
import shlex
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

_LIST = Path(__file__).with_suffix(".toml")


@dataclass(frozen=True)
class Task:
    """One benchmark with its arguments."""

    title: str
    name: str
    arguments: tuple[str, ...]
    kernels: bool = False

    @property
    def command(self) -> str:
        """As one types it."""
        return shlex.join(["python", "-m", f"benchmarks.{self.name}", *self.arguments])


@dataclass(frozen=True)
class Row:
    """How one went."""

    title: str
    command: str
    day: str
    """UTC, ISO 8601."""
    seconds: float
    status: int


def tasks(text: str, places: Mapping[str, str]) -> Iterator[Task]:
    """What everything.toml asks for, ``{name}`` in arguments replaced; without those whose place is not known."""
    for entry in tomllib.loads(text)["benchmark"]:
        try:
            arguments = tuple(argument.format_map(places) for argument in entry.get("arguments", []))
        except KeyError:
            continue
        yield Task(entry.get("title", entry["name"]), entry["name"], arguments, entry.get("kernels", False))


def run(task: Task, out: Path) -> Row:
    """Runs one, unless OUT has its row: its output goes to TITLE.txt, the row to TITLE.json when it has ended."""
    row = known(task, out)
    if row is not None:
        return row
    begun, day = time.monotonic(), time.strftime("%Y-%m-%d", time.gmtime())
    with (out / f"{task.title}.txt").open("w", encoding="utf-8") as file:
        file.write(f"$ {task.command}\n")
        file.flush()
        status = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{task.name}", *task.arguments],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    row = Row(task.title, task.command, day, round(time.monotonic() - begun, 1), status)
    (out / f"{task.title}.json").write_text(json.dumps(asdict(row)) + "\n", encoding="utf-8")
    return row


def known(task: Task, out: Path) -> Row | None:
    """What OUT has of one."""
    kept = out / f"{task.title}.json"
    return Row(**json.loads(kept.read_text(encoding="utf-8"))) if kept.exists() else None


def table(rows: list[Row]) -> str:
    """Markdown: command, day, seconds, and whether it failed."""
    lines = ["| command | day | seconds | |", "| --- | --- | --- | --- |"]
    for row in rows:
        failed = f"exit status {row.status}" if row.status else ""
        lines.append(f"| `{row.command}` | {row.day} | {row.seconds:.0f} | {failed} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Runs what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--labelled", metavar="DIR", help="labelled bisection logs")
    parser.add_argument("--cases", metavar="DIR", help="real regressions")
    parser.add_argument("--clones", metavar="DIR", help="a clone for each of their repositories")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="by title")
    parser.add_argument("--no-kernels", action="store_true", help="leave out what builds real kernels")
    options = parser.parse_args()
    given = {"labelled": options.labelled, "cases": options.cases, "clones": options.clones, "out": str(options.out)}
    places = {name: place for name, place in given.items() if place}
    options.out.mkdir(parents=True, exist_ok=True)
    everything, rows = list(tasks(_LIST.read_text(encoding="utf-8"), places)), []
    for task in everything:
        if (options.only and task.title not in options.only) or (task.kernels and options.no_kernels):
            continue
        rows.append(run(task, options.out))
        print(
            f"{rows[-1].seconds:7.0f} s  {task.command}" + (f"  FAILED ({rows[-1].status})" if rows[-1].status else "")
        )
        there = [row for row in (known(task, options.out) for task in everything) if row]
        (options.out / "all.md").write_text(table(there), encoding="utf-8")
    return 1 if any(row.status for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
