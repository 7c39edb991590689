"""Charts as SVG text: lines over categories, stacked bars, a reliability diagram. No dependency."""

import html
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

INK, FAINT, GROUND = "#1f2430", "#c9ced6", "#ffffff"
COLOURS = ("#1257a6", "#c2410c", "#2f855a", "#8b5cf6", "#a16207", "#64748b", "#be185d", "#0891b2")
_FONT = "font-family='DejaVu Sans, Helvetica, Arial, sans-serif'"
Scale = Callable[[float], float]


@dataclass
class Canvas:
    """Shapes in the order in which they are drawn."""

    width: int
    height: int
    shapes: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, words: str, size: int = 11, anchor: str = "start", colour: str = INK) -> None:
        """Words with their baseline at (x, y)."""
        self.shapes.append(
            f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' text-anchor='{anchor}' fill='{colour}'>"
            f"{html.escape(words)}</text>"
        )

    def line(self, points: Sequence[tuple[float, float]], colour: str, width: float = 1.0, dash: str = "") -> None:
        """A line through points."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dashes = f" stroke-dasharray='{dash}'" if dash else ""
        self.shapes.append(f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='{width}'{dashes}/>")

    def box(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """A filled rectangle."""
        self.shapes.append(f"<rect x='{x:.1f}' y='{y:.1f}' width='{width:.1f}' height='{height:.1f}' fill='{colour}'/>")

    def dot(self, x: float, y: float, colour: str, radius: float = 3.0) -> None:
        """A filled circle."""
        self.shapes.append(f"<circle cx='{x:.1f}' cy='{y:.1f}' r='{radius:.1f}' fill='{colour}'/>")

    def svg(self) -> str:
        """The picture."""
        head = (
            f"<svg xmlns='http://www.w3.org/2000/svg' width='{self.width}' height='{self.height}' "
            f"viewBox='0 0 {self.width} {self.height}' {_FONT}>"
        )
        ground = f"<rect width='{self.width}' height='{self.height}' fill='{GROUND}'/>"
        return "\n".join([head, ground, *self.shapes, "</svg>"]) + "\n"


@dataclass(frozen=True)
class Frame:
    """Where a plot lies on the canvas."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Series:
    """Values over the categories; None where there is none. With ``low`` and ``high`` its intervals are drawn."""

    name: str
    values: Sequence[float | None]
    colour: str
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()
    dash: str = ""
    width: float = 1.8


def lines_plot(
    canvas: Canvas,
    frame: Frame,
    title: str,
    categories: Sequence[str],
    series: Sequence[Series],
    ticks: Sequence[float],
    logarithmic: bool = False,
    unit: str = "",
) -> None:
    """Lines over categories, dashed ones without dots; the first and the last tick are the ends of the axis."""
    scale = _scale(frame, ticks[0], ticks[-1], logarithmic)
    canvas.text(frame.x, frame.y - 8, title, 12)
    for tick in ticks:
        canvas.line([(frame.x, scale(tick)), (frame.x + frame.width, scale(tick))], FAINT, 0.6)
        canvas.text(frame.x - 5, scale(tick) + 4, f"{tick:g}{unit}", 10, "end")
    step = frame.width / len(categories)
    places = [frame.x + step * (i + 0.5) for i in range(len(categories))]
    for place, name in zip(places, categories, strict=True):
        canvas.text(place, frame.y + frame.height + 14, name, 10, "middle")
    beside = [one.name for one in series if not one.dash]
    for one in series:
        shift = 0.0 if one.dash else (beside.index(one.name) - (len(beside) - 1) / 2) * min(4.0, step / 14)
        shown = [(places[i] + shift, scale(value)) for i, value in enumerate(one.values) if value is not None]
        canvas.line(shown, one.colour, one.width, one.dash)
        if not one.dash:
            for x, y in shown:
                canvas.dot(x, y, one.colour, 2.6)
        for i, (low, high) in enumerate(zip(one.low, one.high, strict=False)):
            if low is not None and high is not None:
                canvas.line([(places[i] + shift, scale(low)), (places[i] + shift, scale(high))], one.colour, 1.0)


def stacked_bars(
    canvas: Canvas,
    frame: Frame,
    title: str,
    groups: Mapping[str, Mapping[str, Sequence[float]]],
    colours: Sequence[str],
) -> None:
    """Groups of bars, each bar a stack of shares that sum to 1 (what lacks stays empty); bars are numbered."""
    canvas.text(frame.x, frame.y - 8, title, 12)
    scale = _scale(frame, 0.0, 1.0, False)
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        canvas.line([(frame.x, scale(tick)), (frame.x + frame.width, scale(tick))], FAINT, 0.6)
        canvas.text(frame.x - 5, scale(tick) + 4, f"{tick:.0%}", 10, "end")
    step = frame.width / max(1, len(groups))
    for place, (name, bars) in enumerate(groups.items()):
        width = 0.82 * step / max(1, len(bars))
        left = frame.x + step * place + 0.09 * step
        for number, shares in enumerate(bars.values()):
            level = 0.0
            for share, colour in zip(shares, colours, strict=True):
                canvas.box(
                    left + width * number, scale(level + share), max(width - 2, 1.0), frame.height * share, colour
                )
                level += share
            canvas.text(left + width * (number + 0.45), frame.y + frame.height + 11, str(number + 1), 8, "middle")
        canvas.text(left + 0.41 * step, frame.y + frame.height + 25, name, 10, "middle")


def legend(canvas: Canvas, x: float, y: float, entries: Sequence[tuple[str, str, str]], gap: float = 16.0) -> None:
    """(name, colour, dash) in a row; each takes as much room as its name."""
    for name, colour, dash in entries:
        canvas.line([(x, y - 4), (x + 20, y - 4)], colour, 2.4, dash)
        canvas.text(x + 25, y, name, 11)
        x += 25 + 6.6 * len(name) + gap


def _scale(frame: Frame, low: float, high: float, logarithmic: bool) -> Scale:
    """Values to heights, cut at the ends of the axis."""

    def linear(value: float) -> float:
        share = (min(max(value, low), high) - low) / (high - low)
        return frame.y + frame.height * (1 - share)

    def log(value: float) -> float:
        share = math.log(min(max(value, low), high) / low) / math.log(high / low)
        return frame.y + frame.height * (1 - share)

    return log if logarithmic else linear
