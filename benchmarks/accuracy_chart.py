"""The accuracy benchmark as one picture."""

from collections.abc import Sequence

from benchmarks.accuracy_cases import CONDITIONS, RATES, SHAPES, SIZES
from benchmarks.accuracy_table import OURS, Line
from benchmarks.charts import COLOURS, INK, Canvas, Frame, Series, legend, lines_plot, stacked_bars

_TIMES = (60.0, 120.0, 240.0, 480.0, 960.0)
_SHARES = (0.0, 20.0, 40.0, 60.0, 80.0, 100.0)
_KINDS = (("right", "#2f855a"), ("set that holds it", "#a7d7b8"), ("wrong", "#c2410c"), ("none", "#c9ced6"))
_HEIGHT = 210
_USEFUL = 0.5  # right answers below which the time of a policy is not drawn


def picture(table: Sequence[Line]) -> str:
    """SVG: time and accuracy by crash rate in noise, then the answers under every other condition."""
    names = list(dict.fromkeys(line.policy for line in table))
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
    shown = [(s, n) for s in SHAPES for n in SIZES if _at(table, s, n, "noisy")]
    hard = [(s, n, p) for s in SHAPES for n in SIZES for p in RATES if _conditions(table, s, n, p)]
    # The largest history and a rate in the middle stand for all others, which the table has.
    hard = sorted(
        hard, key=lambda row: (-len(_conditions(table, *row)), -row[1], row[0] != "linux", abs(row[2] - 0.1))
    )[:1]
    rows = (2 if shown else 0) + len(hard)
    canvas = Canvas(max(1040, 60 + 260 * len(shown)), 70 + rows * (_HEIGHT + 70))
    legend(canvas, 40, 24, [*((name, colours[name], "") for name in names), ("limit", INK, "5 4")])
    canvas.text(40, 42, "Noisy lab. Times are drawn of policies that are right in half of the cases at least.", 10)
    for i, (kind, commits) in enumerate(shown):
        left = 50 + i * (canvas.width - 40) / max(3, len(shown))
        width = (canvas.width - 40) / max(3, len(shown)) - 55
        lines = _at(table, kind, commits, "noisy")
        title = f"{'Linux-shaped' if kind == 'linux' else 'line'}, {commits:,}: search, min"
        lines_plot(
            canvas,
            Frame(left, 70, width, _HEIGHT),
            title,
            _rates(),
            [*_times(lines, colours), _limit(lines)],
            _TIMES,
            True,
        )
        frame = Frame(left, 140 + _HEIGHT, width, _HEIGHT)
        lines_plot(
            canvas, frame, "right answers, by crash rate", _rates(), _accuracy(lines, colours), _SHARES, unit="%"
        )
    for kind, commits, rate in hard:
        top = canvas.height - _HEIGHT - 50
        frame = Frame(50, top, canvas.width - 80, _HEIGHT)
        groups = _conditions(table, kind, commits, rate)
        title = f"answers at crash rate {rate:g}, {kind}, {commits:,} commits; bars: " + ", ".join(
            f"{i} {name}" for i, name in enumerate(names, 1)
        )
        stacked_bars(canvas, frame, title, groups, [colour for _, colour in _KINDS])
        legend(canvas, canvas.width - 480, top - 26, [(name, colour, "") for name, colour in _KINDS])
    return canvas.svg()


def _rates() -> list[str]:
    return [f"{rate:g}" for rate in RATES]


def _at(table: Sequence[Line], kind: str, commits: int, condition: str) -> list[Line]:
    wanted = kind, commits, condition
    return [line for line in table if (line.cell.shape, line.cell.commits, line.cell.condition) == wanted]


def _by_rate(lines: Sequence[Line], policy: str) -> list[Line | None]:
    found = {line.cell.rate: line for line in lines if line.policy == policy}
    return [found.get(rate) for rate in RATES]


def _times(lines: Sequence[Line], colours: dict[str, str]) -> list[Series]:
    series = []
    for name, colour in colours.items():
        row = _by_rate(lines, name)
        row = [line if line and line.right.value >= _USEFUL else None for line in row]
        values = [line.search.value if line else None for line in row]
        low, high = ([getattr(line.search, end) if line else None for line in row] for end in ("low", "high"))
        series.append(Series(name, values, colour, low, high, width=2.4 if name == OURS else 1.2))
    return series


def _limit(lines: Sequence[Line]) -> Series:
    found = {line.cell.rate: line.limit for line in lines}
    return Series("limit", [found.get(rate) for rate in RATES], INK, dash="5 4")


def _accuracy(lines: Sequence[Line], colours: dict[str, str]) -> list[Series]:
    series = []
    for name, colour in colours.items():
        row = _by_rate(lines, name)
        values = [100 * line.right.value if line else None for line in row]
        low, high = ([100 * getattr(line.right, end) if line else None for line in row] for end in ("low", "high"))
        series.append(Series(name, values, colour, low, high, width=2.4 if name == OURS else 1.2))
    return series


def _conditions(table: Sequence[Line], kind: str, commits: int, rate: float) -> dict[str, dict[str, list[float]]]:
    """Condition -> policy -> shares of the kinds of answers, but for the two conditions with pictures of their own."""
    found: dict[str, dict[str, list[float]]] = {}
    for condition in CONDITIONS:
        lines = [line for line in _at(table, kind, commits, condition) if line.cell.rate == rate]
        if lines and condition not in ("clean", "noisy"):
            found[condition] = {line.policy: _answers(line) for line in lines}
    return found


def _answers(line: Line) -> list[float]:
    wrong = line.wrong.value + line.shares["missed"]
    return [line.right.value, line.shares["set"], wrong, line.shares["none"]]
