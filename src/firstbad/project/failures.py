"""What failed, read off a test's output: one title for what sanitizers, asserts, tracebacks and panics say.

The kinds are data, failures.toml. A title holds what stays the same from run to run: no addresses, no numbers of lines.
"""

import re
import signal
from dataclasses import dataclass
from functools import cache

from firstbad.packaged import read_toml

_LINE, _LINES = 2000, 20_000  # letters of a line, lines of an output that are looked at
_NEAR = 40  # lines after the one that names the failure in which its stack is looked for
_NUMBER = re.compile(r"0x[0-9a-fA-F]+|\b\d+\b")


@dataclass(frozen=True)
class Kind:
    """A row of failures.toml."""

    kind: str
    pattern: re.Pattern[str]
    title: str
    frame: re.Pattern[str] | None
    frame_last: bool
    last: re.Pattern[str] | None
    """The failure is named by the first line after the stack that matches this, not by the first line."""
    example: str
    reads: str

    def read(self, lines: list[str]) -> str:
        """The title; empty where the output does not hold this kind."""
        for number, line in enumerate(lines):
            match = self.pattern.search(line)
            if match is None:
                continue
            after = lines[number + 1 : number + 1 + _NEAR]
            if self.last is not None:
                match = next((found for one in after if (found := self.last.match(one))), None)
                if match is None:
                    continue
            named = self.title.format(*(_NUMBER.sub("N", group or "") for group in match.groups()))
            frames = [found.group(1) for one in after if self.frame and (found := self.frame.match(one))]
            return f"{named} in {frames[-1 if self.frame_last else 0]}" if frames else named
        return ""


@cache
def kinds() -> tuple[Kind, ...]:
    """All kinds, by precedence."""
    rows = read_toml(__package__, "failures.toml")["failure"]

    def pattern(row: dict[str, str], name: str) -> re.Pattern[str] | None:
        return re.compile(row[name]) if name in row else None

    return tuple(
        Kind(
            row["kind"],
            re.compile(row["pattern"]),
            row["title"],
            pattern(row, "frame"),
            bool(row.get("frame_last")),
            pattern(row, "last"),
            row["example"],
            row["is"],
        )
        for row in rows
    )


def failure_title(output: str, status: int | None) -> str:
    """What failed; where the output does not say, the signal that ended the test; empty where nothing is known.

    ``status`` is an exit status, or minus a signal; above 128 what a shell says of a signal.
    """
    lines = [line[:_LINE].rstrip() for line in output.split("\n", _LINES)[:_LINES]]
    for kind in kinds():
        title = kind.read(lines)
        if title:
            return title
    number = -status if status is not None and status < 0 else (status or 0) - 128
    return f"signal: {_signal_name(number)}" if 0 < number < 65 else ""


def _signal_name(number: int) -> str:
    try:
        return signal.strsignal(number) or str(number)
    except ValueError:
        return str(number)


def alike(title: str, wanted: str) -> bool:
    """Whether a failure is the one that is wanted: equal titles, or the wanted one named in part (``AddressSanitizer``,
    ``heap-use-after-free``), whatever the case; numbers count as any number."""
    one, other = (_NUMBER.sub("N", text).casefold().strip() for text in (title, wanted))
    return bool(other) and other in one
