"""Exit status of commands, one for each kind of result; the table is status.toml."""

import sys
from dataclasses import dataclass
from functools import cache

from firstbad.errors import UserError, kind_of_error
from firstbad.packaged import read_toml

_TEST = {"not_seen": "not_seen", "crashes": "crashes", "infra_failure": "infra_failure"}


@dataclass(frozen=True)
class Status:
    """A row of the table."""

    result: str
    exit: int
    commands: tuple[str, ...]
    means: str


@cache
def table() -> tuple[Status, ...]:
    """All rows, in the order of the file."""
    rows = read_toml(__package__, "status.toml")["status"]
    return tuple(Status(row["result"], row["exit"], tuple(row["commands"]), row["means"]) for row in rows)


def exit_of(result: str) -> int:
    """The exit status of a kind of result. Raises KeyError for one that the table does not hold."""
    return {row.result: row.exit for row in table()}[result]


def exit_of_job(kind: str, status: str) -> int:
    """The exit status of a job of this kind that ended with this status (of the contracts)."""
    return exit_of(_TEST.get(status, "no answer") if kind == "test" else status)


def is_cancelled(error: BaseException) -> bool:
    """Whether somebody gave the job up."""
    # What was never imported raised nothing, and takes long to import.
    session = sys.modules.get("firstbad.session")
    return session is not None and isinstance(error, session.Cancelled)


def status_of(error: BaseException) -> str:
    """The kind of result that an error is."""
    if is_cancelled(error):
        return "cancelled"
    return "interrupted" if isinstance(error, KeyboardInterrupt) else kind_of_error(error)


def exit_of_error(error: BaseException, command: str) -> int:
    """The exit status of a command that ended with this error; for commands that the table lacks 1, or 2 for input."""
    result = status_of(error)
    if result == "interrupted" or any(row.result == result and command in row.commands for row in table()):
        return exit_of(result)
    if command == "test":
        return exit_of("no answer")
    return exit_of("unusable input") if isinstance(error, UserError) else 1


def epilog(command: str, example: str) -> str:
    r"""The end of a command's help: the exit statuses that it has, and an example (``\b``: keep these lines)."""
    rows = [row for row in table() if command in row.commands]
    lines = [f"{row.exit:>4}  {row.result.replace('_', ' ')}: {row.means}" for row in rows]
    return "\b\nExit status:\n" + "\n".join(lines) + f"\n\nExample: {example}"
