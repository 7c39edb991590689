"""What every command prints with: colours where they are wanted, nothing that a terminal could mistake."""

import json
import re
import sys
from typing import Any

import click
from rich.console import Console

from firstbad.report.hostile import STEERING
from firstbad.report.words import duration

__all__ = [
    "clean", "command", "duration", "err", "named", "out", "say", "say_error", "say_json", "tell", "write",
]  # fmt: skip

# Rich leaves colours out when NO_COLOR is set or the output is no terminal.
# No text is markup: a title may hold anything.
out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)

# What changes how text is read and is not to be seen: signs that turn its direction, end lines or part and fill
# letters, and tags. Of surrogates no terminal can be told at all. What joins and varies pictograms stays.
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164"
    "\ud800-\udfff\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)


def clean(text: str) -> str:
    """Text from a console, a commit or a compiler without what could steer a terminal or hide what it says."""
    return named(STEERING.sub("\N{REPLACEMENT CHARACTER}", text))


def named(text: str) -> str:
    """Text with the signs in it that are not to be seen named, as in ``<U+202E>``."""
    return _UNSEEN.sub(lambda sign: f"<U+{ord(sign[0]):04X}>", text)


def say(text: str = "", style: str | None = None) -> None:
    """One line (or more) to stdout, taken literally."""
    out.print(clean(text), style=style)


def say_error(text: str) -> None:
    """One line to stderr."""
    err.print(f"firstbad: {clean(text)}", style="red")


def tell(text: str, style: str | None = None) -> None:
    """One line (or more) to stderr that is no error."""
    err.print(clean(text), style=style)


def write(text: str) -> None:
    """A whole text to stdout: as it is into a file or another program, cleaned on a terminal."""
    sys.stdout.write(clean(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


def say_json(data: Any) -> None:
    """One JSON object on one line; what a terminal should not be given is written as JSON's escapes."""
    text = json.dumps(data, ensure_ascii=False)
    for signs in (STEERING, _UNSEEN):
        text = signs.sub(lambda sign: json.dumps(sign[0])[1:-1], text)
    print(text, flush=True)  # noqa: T201 - machine-readable output


def command() -> str:
    """How the command that runs was called, for lines that say what to call next: with its server, if it has one."""
    context = click.get_current_context(silent=True)
    url = context.find_root().params.get("server") if context is not None else None
    return f"firstbad --server {url}" if url else "firstbad"
