"""Watching a bisection: a live view on a terminal, plain lines elsewhere."""

import time

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from firstbad.cli.output import clean, duration, err
from firstbad.session import State, verdict_of
from firstbad.session.config_words import choice_words, trial_words
from firstbad.session.telling import belief_line, machines_line, outcomes, time_left
from firstbad.store import Event
from firstbad.vm import how_to_attach

_STYLES = {"bad": "red", "good": "green", "skip": "yellow", "": "cyan"}
_ROWS = 12


def kept_lines(event: Event) -> str:
    """Where a machine was left, how to look at it and how to end it."""
    return how_to_attach(event.data["pid"], event.data["gdb"], event.data["vmlinux"])


def deadline_words(state: State) -> str:
    """How long until the session's deadline; empty without one."""
    if state.deadline is None:
        return ""
    left = state.deadline - time.time()
    return f"{duration(left)} to the deadline" if left > 0 else "the deadline has passed"


class PlainView:
    """One line per fact, for logs and pipes."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    def __enter__(self) -> "PlainView":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def activity(self, text: str) -> None:
        """Not told: a log needs facts only."""

    def event(self, event: Event, state: State) -> None:
        """Tell builds and verdicts."""
        if event.kind == "build":
            fact = event.data
            what = f"does not build: {fact['error']}" if fact["error"] else f"built in {fact['seconds']:.1f} s"
            self._line(f"{fact['commit'][:12]} {'known: ' if fact['cached'] else ''}{what}")
        elif event.kind == "mark":
            test = state.test_of(event.data)
            self._line(
                f"{test.commit[:12]} {verdict_of(test):4} {test.data['phase']:8} {outcomes(test):24} "
                f"{test.data['title'][:60]}"
            )
            if belief_line(state) and test.data["phase"] in ("search", "confirm"):
                left = time_left(state)
                more = [f"about {duration(left)} left" if left else "", deadline_words(state)]
                self._line("; ".join([belief_line(state), *filter(None, more)]))
        elif event.kind == "opinion":
            self._line(state.opinions.said[-1].words())
        elif event.kind == "verify":
            fact = event.data
            what = "the same kernel" if fact["same"] else "another kernel: its runs no longer count"
            self._line(f"{fact['commit'][:12]} clean build in {fact['seconds']:.1f} s: {what}")
        elif event.kind == "machines":
            self._line(f"{machines_line(event)}: {event.data['why']}")
        elif event.kind in ("deadline", "budget"):
            self._line(deadline_words(state))
        elif event.kind == "kept":
            self._line(kept_lines(event))
        elif event.kind == "crash":
            self._line(f"the bug: {event.data['title']}")
        elif event.kind == "trial-mark":
            self._line(trial_words(state.trials[-1]))
        elif event.kind == "config":
            self._line(choice_words(event.data))

    def _line(self, text: str) -> None:
        err.print(f"[{time.monotonic() - self._since:7.1f}] {clean(text)}")


class LiveView:
    """What is built and run now, what is left, time spent and time left."""

    def __init__(self, heading: str) -> None:
        self._heading = heading
        self._since = time.monotonic()
        self._now = "starting"
        self._machines = ""
        self._kept = ""
        self._told: tuple[float, float] | None = None
        self._state = State()
        self._live = Live(get_renderable=self._render, console=err, refresh_per_second=4, transient=True)

    def __enter__(self) -> "LiveView":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        err.print(self._table(len(self._state.tests)))
        if self._kept:
            err.print(clean(self._kept))

    def activity(self, text: str) -> None:
        """Show what is being done."""
        self._now = text

    def event(self, event: Event, state: State) -> None:
        """Show the new state."""
        self._state = state
        if event.kind == "kept":
            self._kept = kept_lines(event)
        if event.kind == "machines":
            self._machines = machines_line(event)
        if "left_seconds" in event.data:
            self._told = (time.monotonic(), float(event.data["left_seconds"]))

    def _left(self) -> float | None:
        """The last estimate, less the time since it was made."""
        return max(0.0, self._told[1] - (time.monotonic() - self._told[0])) if self._told else None

    def _render(self) -> RenderableType:
        state = self._state
        spent = time.monotonic() - self._since
        left = self._left()
        now = Text.assemble(("now  ", "dim"), (clean(self._now), "bold"), (f"  {clean(self._machines)}", "dim"))
        clock = Text.assemble(
            ("time ", "dim"),
            f"{duration(spent)} spent",
            f", about {duration(left)} left" if left is not None else "",
            f", {deadline_words(state)}" if state.deadline is not None else "",
            f"; {len(state.builds)} builds, {state.runs()} runs",
        )
        belief = Text.assemble(
            ("left ", "dim"), belief_line(state) or "not known yet: the ends of the range come first"
        )
        bug = f": {state.crash['title']}" if state.crash else ""
        return Group(Text(clean(self._heading + bug), style="bold"), self._table(_ROWS), belief, clock, now)

    def _table(self, rows: int) -> Table:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name, width in (("phase", 8), ("commit", 12), ("verdict", 7), ("runs", 14), ("title", 10)):
            table.add_column(name, no_wrap=True, overflow="ellipsis", min_width=width)
        for test in self._state.tests[-rows:]:
            verdict = verdict_of(test)
            phase = test.data.get("release") or test.data["phase"]
            style = _STYLES[verdict]
            table.add_row(
                clean(phase),
                test.commit[:12],
                Text(verdict or "...", style=style),
                outcomes(test),
                clean(test.data["title"]),
            )
        return table


def view(heading: str, plain: bool) -> PlainView | LiveView:
    """The live view on a terminal, plain lines otherwise."""
    return PlainView() if plain or not err.is_terminal else LiveView(heading)
