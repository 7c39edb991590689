"""A story as one HTML page that needs nothing else: no script, no style or picture from anywhere."""

import re
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from firstbad.report.picture import LEVELS, Row, curve, row, rows
from firstbad.report.story import Belief, Story
from firstbad.report.words import duration, headline, percent, summary

_STRIP = 1.1  # rem, height of a row of the map
_HIGHEST = 34.0
_TAGS = 5  # releases that are named below the map
# Characters that no page needs and that change how the text around them is shown (Unicode's bidirectional ones) or end
# it (control characters).
_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_KINDS = {"+": "added", "-": "gone", "@": "hunk"}


def html_page(story: Story) -> str:
    """The page. Whatever the story holds is text in it: everything is escaped."""
    pages = Environment(loader=PackageLoader("firstbad.report"), autoescape=True, trim_blocks=True, finalize=_fit)
    drawn = rows(story.belief) if story.belief else []
    tone = {"gone": "good", "still": "bad"}.get(story.proof, "") if story.found else "bad"
    return pages.get_template("page.html").render(
        story=story,
        headline=headline(story),
        summary=summary(story),
        tone="" if story.open or story.status == "candidates" else tone,
        rows=drawn,
        row_of=row,
        strip=_svg,
        tags=_tags(story.belief) if story.belief else [],
        curve=curve(story.steps),
        levels=range(1, LEVELS + 1),
        map_height=f"{min(_HIGHEST, max(4.0, len(drawn) * _STRIP)):.1f}",
        diff=_diff(story),
        percent=percent,
        duration=duration,
    )


def _fit(value: Any) -> Any:
    if isinstance(value, str) and not isinstance(value, Markup):
        return _UNFIT.sub("\N{REPLACEMENT CHARACTER}", value)
    return value


def _svg(drawn: Row) -> Markup:
    shapes = [Markup('<path class="l{}" d="{}"/>').format(level, path) for level, path in drawn.paths]
    if drawn.mark is not None:
        shapes.append(Markup('<line class="t {}" x1="{}" x2="{}" y1="0" y2="1"/>').format(
            drawn.verdict, drawn.mark, drawn.mark))  # fmt: skip
    return Markup("").join(shapes)


def _tags(belief: Belief) -> list[tuple[float, str]]:
    """The newest release tags that leave room for each other's names."""
    kept: list[tuple[float, str]] = []
    for place, tag in reversed(belief.releases):
        if place <= 0.85 and len(tag) <= 20 and all(abs(place - other) > 0.2 for other, _ in kept):
            kept.append((place, tag))
    return kept[:_TAGS]


def _diff(story: Story) -> list[tuple[str, str]]:
    """Lines of the culprit's diff with their kind: added, gone, hunk or none."""
    patch = story.culprit.patch if story.culprit else ""
    lines = patch.split("\n") if patch else []
    heads = ("+++ ", "--- ")
    return [("" if line.startswith(heads) else _KINDS.get(line[:1], ""), line) for line in lines]
