"""How much sooner one bisection ends with several builders, beside the least that it could take.

Run: ``uv run python -m benchmarks.builders [--trials N] [--commits N] [--jobs N]``. The simulated lab of
``benchmarks.accuracy`` (builds of 432 s, runs of at most 300 s after a boot of 30 s on 10 machines, crashes after 60 s
on average; a linear or a Linux-shaped history, nothing but the bug crashes, no priors, target .99) with 1, 2, 4 and 8
builders. Per cell: answers that are right, builds, minutes of search, and these over three limits: DESIGN's for so
many builders (``limits.pipelined``), the one that holds because results come late (``limits.in_order``), and the larger
of the two. One builder works in turn with the tests: its limit is ``limits.minutes``. While the start commit is built
and tested, which is no part of the search, several builders begin the search's first builds; ``all`` is the whole time.
"""

import argparse
import statistics
from dataclasses import replace

from benchmarks import limits
from benchmarks.accuracy_cases import SHAPES, Cell, history, scenario
from benchmarks.trials import Row, each, play

RATES = (1.0, 0.5, 0.2, 0.1)
BUILDERS = (1, 2, 4, 8)
DELTA = 0.01

_Task = tuple[Cell, int, int]


def work(task: _Task) -> Row:
    """One bisection: the cell, how many builders, which scenario."""
    cell, builders, number = task
    made = scenario(cell, number)
    return play(cell.name, number, "bayes", replace(made, lab=replace(made.lab, builders=builders)))


def line(cell: Cell, builders: int, rows: list[Row]) -> str:
    """One row of the table."""
    lab, mean = limits.Lab(), statistics.mean(row.search for row in rows) / 60.0
    error = statistics.stdev(row.search for row in rows) / 60.0 / len(rows) ** 0.5
    stated = (
        limits.minutes(cell.candidates, cell.rate, lab, DELTA)
        if builders == 1
        else limits.pipelined(cell.candidates, cell.rate, builders, lab, DELTA)
    )
    late = limits.in_order(cell.candidates, builders, lab, DELTA)
    right = sum(row.kind == "right" for row in rows)
    builds = statistics.mean(row.builds for row in rows)
    ratios = " | ".join(f"{mean / limit:.2f}" for limit in (stated, late, max(stated, late)))
    whole = statistics.mean(row.wall for row in rows) / 60.0
    found = f"{right} of {len(rows)} | {builds:.1f} | {whole:.0f} | {mean:.0f} ± {1.96 * error:.0f}"
    return f"| {cell.shape} | {cell.rate:g} | {builders} | {found} | {stated:.0f} | {late:.0f} | {ratios} |"


def main() -> None:
    """See the module's first lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--commits", type=int, default=15_000)
    parser.add_argument("--shapes", nargs="*", default=SHAPES)
    parser.add_argument("--builders", nargs="*", type=int, default=BUILDERS)
    parser.add_argument("--rates", nargs="*", type=float, default=RATES)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    for shape in options.shapes:
        history(shape, options.commits)  # before the processes begin, so that they share it
    columns = (
        "history, crash rate, builders, right, builds, all (min), search (min), DESIGN, late, over DESIGN, over late, "
        "over both"
    )
    print("|", columns.replace(", ", " | "), "|")
    print("| --- " * len(columns.split(", ")) + "|")
    keys = [
        (Cell(shape, options.commits, "clean", rate), builders)
        for shape in options.shapes
        for rate in options.rates
        for builders in options.builders
    ]
    tasks = [(cell, builders, number) for cell, builders in keys for number in range(options.trials)]
    done = each(work, tasks, options.jobs)
    for cell, builders in keys:
        print(line(cell, builders, [next(done) for _ in range(options.trials)]), flush=True)


if __name__ == "__main__":
    main()
