"""The belief over a history as pictures: SVG paths that a page draws with its own colours, no text within."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from firstbad.report.story import Belief, Step, Strip

LEVELS = 8
_DECADES = 4.0  # shares from 1 down to 1e-4 of the row's largest are told apart


@dataclass(frozen=True)
class Row:
    """One strip: a path for each level of shade (0 is drawn nowhere), and where the tested revision lies."""

    paths: tuple[tuple[int, str], ...]
    mark: float | None
    """Column of the tested revision, None if it is not within."""
    verdict: str


@dataclass(frozen=True)
class Curve:
    """How many commits hold 90% of the belief, test by test: a path in a box of 100 by 100, and its ends."""

    path: str
    first: int
    last: int


def row(strip: Strip) -> Row:
    """A strip's paths in a box of ``len(shares)`` by 1; the shades are logarithmic, in proportion to the largest."""
    levels = shades(strip.shares)
    paths: dict[int, list[str]] = {}
    start = 0
    for end in range(1, len(levels) + 1):
        if end == len(levels) or levels[end] != levels[start]:
            if levels[start]:
                paths.setdefault(levels[start], []).append(f"M{start} 0h{end - start}v1h-{end - start}z")
            start = end
    mark = strip.tested + 0.5 if strip.tested >= 0 else None
    return Row(tuple((level, "".join(parts)) for level, parts in sorted(paths.items())), mark, strip.verdict)


def shades(shares: Sequence[float]) -> list[int]:
    """A level from 0 (nothing) to LEVELS (the largest share) each."""
    largest = max(shares, default=0.0)
    if largest <= 0:
        return [0] * len(shares)
    scaled = (1 + math.log10(share / largest) / _DECADES if share > 0 else 0.0 for share in shares)
    return [max(0, math.ceil(value * LEVELS)) for value in scaled]


def rows(belief: Belief) -> list[Row]:
    """All strips, oldest test first."""
    return [row(strip) for strip in belief.strips]


def curve(steps: Sequence[Step]) -> Curve | None:
    """The curve over the tests that changed the belief, logarithmic; None for fewer than two."""
    held = [step.left90 for step in steps if step.left90]
    if len(held) < 2:
        return None
    top = math.log2(max(held)) or 1.0
    width = 100 / len(held)
    ys = [100 - 96 * math.log2(value) / top - 2 for value in held]
    path = f"M0 {ys[0]:.1f}" + "".join(f"V{y:.1f}H{(i + 1) * width:.1f}" for i, y in enumerate(ys))
    return Curve(path, held[0], held[-1])
