"""What the rows of the accuracy benchmark add up to: the table, and where it misses what is asked of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks import limits
from benchmarks.accuracy_cases import Cell
from benchmarks.statistics import Interval, mean, paired, wilson
from benchmarks.trials import Row

OURS = "bayes"
DELTA = 0.01  # error of the limit: what the target allows

# What is asked of ours in the noisy condition, by crash rate.
RIGHT = {1.0: 0.98, 0.5: 0.98, 0.2: 0.98, 0.1: 0.98, 0.05: 0.95}
RATIO = {1.0: 1.15, 0.5: 1.15, 0.2: 1.25, 0.1: 1.35, 0.05: 1.35}
WRONG = 0.01
NEAR = 0.02  # a rival this close in accuracy is compared in time

_HEAD = (
    "policy",
    "right % [95%]",
    "set %",
    "missed %",
    "wrong % [95%]",
    "none %",
    "builds",
    "runs",
    "search min",
    "start",
    "confirm",
    "× limit",
    "ours − it: right, points",
    "ours − it: search, min",
)


@dataclass(frozen=True)
class Line:
    """One policy in one cell. Shares are of all trials, times are means in minutes."""

    cell: Cell
    policy: str
    trials: int
    right: Interval
    wrong: Interval
    shares: Mapping[str, float]
    builds: float
    runs: float
    search: Interval
    start: float
    confirm: float
    limit: float
    """Minutes."""
    accuracy: Interval | None
    """Ours minus this one, right answers, paired; None for ours."""
    time: Interval | None
    """Ours minus this one, minutes of search, paired."""

    @property
    def ratio(self) -> float:
        """Search time against the limit."""
        return self.search.value / self.limit


def lines(cell: Cell, rows: Sequence[Row], delta: float = DELTA) -> list[Line]:
    """One line per policy, in the order in which they come in ``rows``."""
    policies = dict.fromkeys(row.policy for row in rows)
    ours = {row.number: row for row in rows if row.policy == OURS}
    return [_line(cell, name, [row for row in rows if row.policy == name], ours, delta) for name in policies]


def _line(cell: Cell, policy: str, rows: Sequence[Row], ours: Mapping[int, Row], delta: float) -> Line:
    kinds = [row.kind for row in rows]
    pairs = [(ours[row.number], row) for row in rows if row.number in ours] if policy != OURS else []
    return Line(
        cell,
        policy,
        len(rows),
        wilson(kinds.count("right"), len(rows)),
        wilson(kinds.count("wrong"), len(rows)),
        {kind: kinds.count(kind) / len(rows) for kind in ("set", "missed", "none")},
        float(np.mean([row.builds for row in rows])),
        float(np.mean([row.runs for row in rows])),
        mean([row.search / 60 for row in rows]),
        float(np.mean([row.start for row in rows])) / 60,
        float(np.mean([row.wall - row.start - row.search for row in rows])) / 60,
        limits.minutes(cell.candidates, cell.rate, delta=delta),
        paired([one.kind == "right" for one, _ in pairs], [it.kind == "right" for _, it in pairs]) if pairs else None,
        paired([one.search / 60 for one, _ in pairs], [it.search / 60 for _, it in pairs]) if pairs else None,
    )


def block(found: Sequence[Line]) -> str:
    """A cell's part of the table, as Markdown."""
    first = found[0]
    facts = f"{first.trials} trials, N = {first.cell.candidates:,}, limit {first.limit:.1f} min"
    title = f"### {first.cell.name}\n\n{facts}\n\n"
    table = ["| " + " | ".join(_HEAD) + " |", "|" + " --- |" * len(_HEAD)]
    return title + "\n".join(table + ["| " + " | ".join(_fields(line)) + " |" for line in found]) + "\n"


def _fields(line: Line) -> list[str]:
    return [
        line.policy,
        f"{line.right.value:.1%} [{line.right.low:.1%}, {line.right.high:.1%}]".replace("%", ""),
        *(f"{100 * line.shares[kind]:.1f}" for kind in ("set", "missed")),
        f"{line.wrong.value:.1%} [{line.wrong.low:.1%}, {line.wrong.high:.1%}]".replace("%", ""),
        f"{100 * line.shares['none']:.1f}",
        f"{line.builds:.1f}",
        f"{line.runs:.0f}",
        f"{line.search.value:.1f} ± {line.search.high - line.search.value:.1f}",
        f"{line.start:.1f}",
        f"{line.confirm:.1f}",
        f"{line.ratio:.2f}",
        _interval(line.accuracy, 100.0),
        _interval(line.time, 1.0),
    ]


def _interval(found: Interval | None, scale: float) -> str:
    if found is None or math.isnan(found.value):
        return ""
    return f"{scale * found.value:+.1f} [{scale * found.low:+.1f}, {scale * found.high:+.1f}]"


def misses(found: Sequence[Line]) -> list[str]:
    """Where ours misses what is asked of it in this cell, in words; empty where it does not."""
    ours = next((line for line in found if line.policy == OURS), None)
    if ours is None or ours.cell.condition == "masked":  # to who can't see reach it looks like a later culprit
        return []
    cell, said = ours.cell, []
    if ours.wrong.value > WRONG:
        said.append(f"wrong {ours.wrong.value:.1%} > {WRONG:.0%}")
    if cell.condition == "noisy":
        if ours.right.value < RIGHT[cell.rate]:
            said.append(f"right {ours.right.value:.1%} < {RIGHT[cell.rate]:.0%}")
        if ours.ratio > RATIO[cell.rate]:
            said.append(f"{ours.ratio:.2f} × limit > {RATIO[cell.rate]}")
    for line in found:
        said += _behind(line, ours)
    return [f"{cell.name}: {words}" for words in said]


def _behind(line: Line, ours: Line) -> list[str]:
    """Where the whole interval of a paired difference is on the rival's side."""
    said = []
    if line.accuracy is not None and line.accuracy.high < 0:
        said.append(f"behind {line.policy} in accuracy by {-100 * line.accuracy.value:.1f} points")
    near = line.right.value >= ours.right.value - NEAR
    if near and line.time is not None and line.time.low > 0:
        said.append(f"behind {line.policy} in time by {line.time.value:.1f} min")
    return said
