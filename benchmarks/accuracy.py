"""How often each policy names the culprit, and what it takes, beside the least that any search could take.

Run: ``uv run python -m benchmarks.accuracy [--quick | --full] [--cells REGEX] [--policies A,B] [--trials N]``.
A simulated lab: builds of 432 s, one builder, build and test in turn; runs of at most 300 s after a boot of 30 s, on 10
machines; crashes after 60 s on average. Priors off, target .99. All policies get the same scenarios. The table says in
Markdown, per cell: the share of answers that are right (the culprit, alone), a set (that holds it), missed (a set that
does not), wrong, none; means of builds, runs, minutes of search, of start check and of confirmation; time of search
against the limit (``benchmarks.limits``, continuous reading, delta .01); paired differences. Intervals hold 95%.
"""

import argparse
import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.ablation import PARTS, without
from benchmarks.accuracy_cases import SHAPES, SIZES, Cell, cells, describe, history, quick_cells, scenario
from benchmarks.accuracy_chart import picture
from benchmarks.accuracy_table import OURS, Line, block, lines, misses
from benchmarks.trials import Row, each, play
from firstbad.errors import UserError
from firstbad.simulation import World, find_policy

POLICIES = (OURS, "git-bisect-1", "git-bisect-10", "syzbot-2021", "syzbot", "git-bayesect", "plugin-rate")
DEFAULT_TRIALS, FULL_TRIALS, QUICK_TRIALS = 60, 400, 40
_CHUNK = 5  # trials of one task of a process

_Task = tuple[Cell, tuple[int, ...], tuple[str, ...]]


def work(task: _Task) -> list[Row]:
    """All policies on some scenarios of a cell. A policy ``bayes-x`` is ours without the part x."""
    cell, numbers, policies = task
    rows = []
    for number in numbers:
        made = scenario(cell, number)
        for policy in policies:
            part = policy.removeprefix(f"{OURS}-")
            if part in PARTS:
                with without(part):
                    row = play(cell.name, number, OURS, made)
                rows.append(Row(**asdict(row) | {"policy": policy}))
            else:
                rows.append(play(cell.name, number, policy, made))
    return rows


def measure(
    chosen: Sequence[Cell], policies: tuple[str, ...], trials: int, jobs: int
) -> Iterator[tuple[Cell, list[Row]]]:
    """Each cell with its rows, as they are done."""
    for cell in chosen:
        history(cell.shape, cell.commits)  # before the processes begin, so that they share it
    numbers = range(trials)
    chunks = [tuple(numbers[i : i + _CHUNK]) for i in range(0, trials, _CHUNK)]
    tasks = [(cell, chunk, policies) for cell in chosen for chunk in chunks]
    rows: list[Row] = []
    for task, found in zip(tasks, each(work, tasks, jobs), strict=True):
        rows += found
        if task[1] == chunks[-1]:
            yield task[0], rows
            rows = []


def main() -> None:
    """Measure, print, and keep what was asked to be kept."""
    options = _options()
    chosen = quick_cells() if options.quick else cells(options.full)
    if options.read is not None:
        chosen = [cell for cell, _ in _read(options.read)]
    elif options.cells:
        chosen = [cell for cell in cells(True) if re.search(options.cells, cell.name)]
    policies = tuple(options.policies.split(","))
    if options.ablate:
        policies = (OURS, *(f"{OURS}-{part}" for part in PARTS))
    policies = tuple(policy for policy in policies if _usable(policy))
    trials = options.trials or (QUICK_TRIALS if options.quick else FULL_TRIALS if options.full else DEFAULT_TRIALS)
    began, text, table = time.perf_counter(), [], []
    for kind, commits in [(s, n) for s in SHAPES for n in SIZES if any((c.shape, c.commits) == (s, n) for c in chosen)]:
        text.append(describe(kind, commits) + "\n")
        print(text[-1])
    said: list[str] = []
    measured = measure(chosen, policies, trials, options.jobs) if options.read is None else _read(options.read)
    for cell, rows in measured:
        found = lines(cell, rows)
        table += found
        said += misses(found)
        text.append(block(found))
        print(text[-1], *misses(found), f"({_real(rows)})", "", sep="\n", flush=True)
        if options.rows and options.read is None:
            _keep(options.rows, rows)
    text.append(
        "\n".join(["Missed:", *(f"- {words}" for words in said)] if said else ["Nothing that is asked was missed."])
    )
    print(text[-1], f"{(time.perf_counter() - began) / 60:.1f} min of real time, {options.jobs} processes", sep="\n")
    _write(options.output, text, table)


def _usable(policy: str) -> bool:
    """Whether a policy can be measured here; says why not. Raises UserError for one that is unknown."""
    if policy.removeprefix(f"{OURS}-") in PARTS:
        return True
    found, tiny = find_policy(policy), scenario(Cell("linear", 3, "clean", 1.0), 0)
    try:
        found(tiny, World(tiny))
    except UserError as error:
        print(f"left out: {error}\n")
        return False
    return True


def _real(rows: Sequence[Row]) -> str:
    """Real seconds per bisection of each policy."""
    policies = dict.fromkeys(row.policy for row in rows)
    spent = {name: [row.real for row in rows if row.policy == name] for name in policies}
    return "real seconds a bisection: " + ", ".join(f"{name} {sum(one) / len(one):.2f}" for name, one in spent.items())


def _keep(path: Path, rows: Sequence[Row]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(row)) + "\n" for row in rows)


def _read(path: Path) -> Iterator[tuple[Cell, list[Row]]]:
    """What ``--rows`` kept, cell by cell."""
    by_name = {cell.name: cell for cell in cells(True)}
    kept: dict[str, list[Row]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = Row(**json.loads(line))
        kept.setdefault(row.cell, []).append(row)
    yield from ((by_name[name], rows) for name, rows in kept.items())


def _write(prefix: Path | None, text: Sequence[str], table: Sequence[Line]) -> None:
    if prefix is not None:
        prefix.with_suffix(".md").write_text("\n".join(text) + "\n", encoding="utf-8")
        prefix.with_suffix(".svg").write_text(picture(table), encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Accuracy and time of every policy in a simulated lab.")
    parser.add_argument("--quick", action="store_true", help="three cells, for a look")
    parser.add_argument("--full", action="store_true", help="every combination of history, condition and rate")
    parser.add_argument("--ablate", action="store_true", help="ours with its parts switched off one at a time")
    parser.add_argument("--cells", default="", metavar="REGEX", help="of all cells those whose names match")
    parser.add_argument("--policies", default=",".join(POLICIES), metavar="A,B", help="default: %(default)s")
    parser.add_argument("--trials", type=int, default=0, metavar="N", help="scenarios per cell")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes (default: %(default)s)")
    parser.add_argument("--output", type=Path, metavar="PREFIX", help="write PREFIX.md and PREFIX.svg")
    parser.add_argument("--rows", type=Path, metavar="FILE", help="append one JSON line per bisection")
    parser.add_argument("--read", type=Path, metavar="FILE", help="measure nothing: what --rows kept there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
