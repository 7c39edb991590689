"""How a reproducer wants to be run: what syzkaller wrote at its head, read defensively.

A syz program has a line like ``#{"threaded":true,"repeat":true,"procs":6,"sandbox":"none"}``; older ones, and C
programs as syz-manager keeps them, have Go's notation: ``# {Threaded:true Repeat:true RepeatTimes:0 Procs:6
Sandbox:namespace Fault:false FaultCall:-1 ...}``. The fields are those of ``Options`` in syzkaller's
``pkg/csource/options.go``, whose names in the two notations have changed little since 2016.
"""

import json
import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from firstbad.errors import UserError

_HEAD_LINES, _LONGEST_LINE = 20, 4096
_COMMENT = re.compile(r"^\s*(?:#|//)\s*(\{.*)$")
_PAIR = re.compile(r"(\w+):(?:\{)?([^\s{}]*)")
_SNAKE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
Sandbox = Literal["", "none", "setuid", "namespace", "android"]


class Options(BaseModel):
    """Options of a reproducer; unknown ones are left out, absent ones have the values that syzbot runs with.

    ``repeat`` without ``repeat_times``: until the time is up. ``slowdown`` stretches syzkaller's own timeouts, and our
    run limit where the job sets none. ``fault_call`` of -1: no fault is injected.
    """

    model_config = ConfigDict(extra="ignore")

    threaded: bool = True
    collide: bool = True
    repeat: bool = True
    repeat_times: int = Field(default=0, ge=0, le=1_000_000)
    procs: int = Field(default=0, ge=0, le=64, description="0: as many as the machine has CPUs")
    slowdown: int = Field(default=1, ge=1, le=100)
    sandbox: Sandbox = ""
    sandbox_arg: int = Field(default=0, ge=-(2**31), lt=2**31)
    fault: bool = False
    fault_call: int = Field(default=-1, ge=-1, le=10_000)
    fault_nth: int = Field(default=0, ge=0, le=10_000)
    leak: bool = False


def read_options(text: str, origin: str) -> Options | None:
    """The options that the head of a reproducer names, None where it names none.

    Raises UserError that names ``origin``, field and reason when a line looks like options but holds nonsense.
    """
    for number, line in enumerate(text.splitlines()[:_HEAD_LINES], start=1):
        found = _COMMENT.match(line[:_LONGEST_LINE])
        values = _values(found[1]) if found else None
        if values is None:
            continue
        try:
            return Options.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            raise UserError(f"{origin}:{number}: option {first['loc'][0]}: {first['msg']}") from None
    return None


def _values(text: str) -> dict[str, Any] | None:
    """The fields of either notation by our names; None for a comment that only begins with a brace."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = _go_values(text)
    # A field that was left out by Go's "omitempty" is false, not what we take where nothing is said.
    known = isinstance(found, dict) and {"threaded", "repeat", "procs", "sandbox"} & set(found)
    return {"threaded": False, "collide": False, "repeat": False, **found} if known else None


def _go_values(text: str) -> dict[str, Any]:
    pairs = _PAIR.findall(text)
    return {_SNAKE.sub("_", name).lower(): value for name, value in pairs if value or name == "Sandbox"}
