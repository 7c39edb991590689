"""What the report and the dashboard make their pages with: parts of pictures, lines of a diff, words."""

import re
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from firstbad.report.picture import LEVELS, Row, curve, row, rows
from firstbad.report.story import Belief, Story
from firstbad.report.words import chance, duration, headline, percent, summary

PARTS = PackageLoader("firstbad.report")
"""Loads ``parts.html``, the sections that such pages share."""

_STRIP = 1.1  # rem, height of a row of the map
_HIGHEST = 34.0
_TAGS = 5  # releases that are named below the map
# Characters that no page needs and that change how the text around them is shown (Unicode's bidirectional ones) or end
# it (control characters).
_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_KINDS = {"+": "added", "-": "gone", "@": "hunk"}


def equip(pages: Environment) -> Environment:
    """Give templates what ``parts.html`` uses; whatever they print is made fit for a page."""
    pages.finalize = fit
    pages.globals.update(
        headline=headline,
        summary=summary,
        tone=tone,
        rows_of=rows,
        row_of=row,
        strip=strip_svg,
        ticks=ticks_svg,
        tags_of=tags,
        curve_of=curve,
        levels=range(1, LEVELS + 1),
        map_height=map_height,
        diff_of=diff_lines,
        percent=percent,
        chance=chance,
        duration=duration,
    )
    return pages


def fit(value: Any) -> Any:
    """Text without what changes the text around it; other values as they are."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return _UNFIT.sub("\N{REPLACEMENT CHARACTER}", value)
    return value


def tone(story: Story) -> str:
    """How an answer looks: ``good`` (proved), ``bad`` (contradicted, or none can be had), or empty."""
    if story.status == "unfinished" and story.why:
        return "bad"
    if story.open or story.status == "candidates":
        return ""
    return {"gone": "good", "still": "bad"}.get(story.proof, "") if story.found else "bad"


def strip_svg(drawn: Row, mark: bool = True) -> Markup:
    """A row's shapes in a box of one by its columns."""
    shapes = [Markup('<path class="l{}" d="{}"/>').format(level, path) for level, path in drawn.paths]
    if mark and drawn.mark is not None:
        shapes.append(Markup('<line class="t {}" x1="{}" x2="{}" y1="0" y2="1"/>').format(
            drawn.verdict, drawn.mark, drawn.mark))  # fmt: skip
    return Markup("").join(shapes)


def ticks_svg(belief: Belief) -> Markup:
    """A mark for every tested revision: in the upper third where it is bad, in the lower where it is good."""
    ends = {"bad": (0, 0.35), "good": (0.65, 1)}
    found = [
        Markup('<line class="t {}" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
            one.verdict, one.tested + 0.5, one.tested + 0.5, *ends.get(one.verdict, (0.4, 0.6))
        )
        for one in belief.strips
        if one.tested >= 0
    ]
    return Markup("").join(dict.fromkeys(found))


def map_height(count: int) -> str:
    """Of a map of so many rows, in rem."""
    return f"{min(_HIGHEST, max(4.0, count * _STRIP)):.1f}"


def tags(belief: Belief) -> list[tuple[float, str]]:
    """The newest release tags that leave room for each other's names."""
    kept: list[tuple[float, str]] = []
    for place, tag in reversed(belief.releases):
        if place <= 0.85 and len(tag) <= 20 and all(abs(place - other) > 0.2 for other, _ in kept):
            kept.append((place, tag))
    return kept[:_TAGS]


def diff_lines(story: Story) -> list[tuple[str, str]]:
    """Lines of the culprit's diff with their kind: added, gone, hunk or none."""
    patch = story.culprit.patch if story.culprit else ""
    lines = patch.split("\n") if patch else []
    heads = ("+++ ", "--- ")
    return [("" if line.startswith(heads) else _KINDS.get(line[:1], ""), line) for line in lines]
