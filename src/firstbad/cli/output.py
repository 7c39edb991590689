"""What every command prints with: colours where they are wanted, nothing that a terminal could mistake."""

import json
import re
from typing import Any

import click
from rich.console import Console

from firstbad.report.words import duration

__all__ = ["clean", "command", "duration", "err", "out", "say", "say_error", "say_json"]

# Rich leaves colours out when NO_COLOR is set or the output is no terminal.
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def clean(text: str) -> str:
    """Text from a console, a commit or a compiler without what could steer a terminal."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def say(text: str = "", style: str | None = None) -> None:
    """One line (or more) to stdout, taken literally."""
    out.print(clean(text), style=style, markup=False)


def say_error(text: str) -> None:
    """One line to stderr."""
    err.print(f"firstbad: {clean(text)}", style="red", markup=False)


def say_json(data: Any) -> None:
    """One JSON object on one line."""
    print(json.dumps(data, ensure_ascii=False), flush=True)  # noqa: T201 - machine-readable output


def command() -> str:
    """How the command that runs was called, for lines that say what to call next: with its server, if it has one."""
    context = click.get_current_context(silent=True)
    url = context.find_root().params.get("server") if context is not None else None
    return f"firstbad --server {url}" if url else "firstbad"
