"""Did a clean run come near the crash's code? Which functions are watched, and what a run says that watched them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from firstbad.crash import Report
from firstbad.crash.formats import load
from firstbad.crash.frames import clean_function
from firstbad.crash.guilty_function import named
from firstbad.packaged import read_toml
from firstbad.session.outcome import Reached, Run

REACH_UNKNOWN = "reach: unknown"
COMMON = 0.75
_MOST = 8
_PLACED = re.compile(
    r"(?P<name>[A-Za-z_][\w.]{0,255})\+0x[0-9a-f]{1,16}/0x[0-9a-f]{1,16} (?P<file>[\w./+-]{1,255}\.(?:c|h|S|rs)):\d"
)


@dataclass(frozen=True)
class Stack:
    """The bug's stack as far as it tells this bug from others: the guilty function first, then its callers.

    ``sources``: the file of a function, relative to the tree, where the report was symbolized.
    """

    functions: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)

    def to_event(self) -> dict[str, Any]:
        """As event data."""
        return {"functions": list(self.functions), "sources": dict(self.sources)}


def stack_of(report: Report, symbolized: str, alike: Sequence[Report] = ()) -> Stack:
    """The stack of a report; ``symbolized`` is its text with source lines, where that could be had. Empty if fewer than
    ``COMMON`` of the bug's other reports, ``alike``, have the guilty function: such a bug may crash anywhere.

    Functions that run all the time (``reach.toml``) and those that work on behalf of any caller are left out. Of a long
    stack the functions next to the crash stay, and the outermost: an early return is on the way there.
    """
    generic, everywhere = load().generic, _everywhere()
    names = list(dict.fromkeys(report.frames))
    guilty = next((name for name in names if report.frame in (name, named(name).name)), "")
    names = names[names.index(guilty) :] if guilty else names
    kept = [n for n in names if n == guilty or not (generic.match(n) or everywhere.match(n))]
    if not kept or sum(kept[0] in one.frames for one in alike) < COMMON * len(alike):
        return Stack()
    if len(kept) > _MOST:
        kept = [*kept[: _MOST - 1], kept[-1]]
    placed = {clean_function(found["name"]): found["file"] for found in reversed(list(_PLACED.finditer(symbolized)))}
    return Stack(tuple(kept), {name: placed[name].removeprefix("./") for name in kept if name in placed})


def from_event(data: Mapping[str, Any] | None) -> Stack:
    """Inverse of ``Stack.to_event``; empty for events from before it was kept."""
    data = data or {}
    return Stack(tuple(data.get("functions", ())), data.get("sources", {}))


def in_order(functions: Sequence[str]) -> list[str]:
    """By how telling they are, for machines that can't watch them all: guilty, its caller, the outermost, the rest."""
    return [*functions[:2], *functions[2:][-1:], *functions[2:-1]]


def reached(ran: Mapping[str, bool], functions: Sequence[str]) -> Reached:
    """What a clean run says that watched ``functions``.

    It reached the code if the guilty function ran, or where this kernel has none of that name (inlined), its caller. It
    did not if none ran, not even the outermost: a run that was on the way there and turned off may have met the check
    whose loss is the bug, so of that one nothing is said.
    """
    first = next((name for name in functions if name in ran), None)
    if first is None:
        return None
    if ran[first]:
        return True
    return None if any(ran.values()) else False


def probed(probe: Mapping[str, Any]) -> Reached:
    """What the probes of a revision say of its clean runs; ``probe`` as event data.

    That calls can't work speaks against a guilty function that ran (on whose behalf?), and for itself where it is open.
    """
    heard = probe["heard"]
    said: Reached = True if True in heard else (None if None in heard else False)
    if not probe["away"]:
        return said
    return None if said is True else False


def reach_line(aim: Mapping[str, Any], runs: Sequence[Run], away: Sequence[str] = ()) -> str:
    """One line on what the clean ones of ``runs`` reached; ``aim`` is the revision's, as event data; else empty.

    ``away``: system calls that can't work here.
    """
    clean = [run.reached for run in runs if run.outcome == "ok"]
    names = aim.get("functions", ())
    if not clean or not names:
        return ""
    reasons = [*([aim["why"]] if aim.get("why") else []), *away]
    why = f": {', '.join(reasons)}" if reasons else ""
    if "absent" in clean:
        return f"reach: absent{why}"
    came, missed = clean.count(True), clean.count(False)
    if not came and not missed:
        return f"{REACH_UNKNOWN}{why or f': {names[0]} did not run, a function on the way there did'}"
    said = [f"{came} of {len(clean)} clean runs came to {names[0]}"] if came else []
    said += [f"{missed} of {len(clean)} not even near {names[0]}{why}"] if missed else []
    return f"reach: {', '.join(said)}"


@cache
def _everywhere() -> re.Pattern[str]:
    data = read_toml(__package__, "reach.toml")
    return re.compile("(?:" + "|".join(data["everywhere"]) + r")\Z")
