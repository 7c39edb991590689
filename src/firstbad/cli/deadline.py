"""``--deadline``: a duration, or a time of day and date, after which a job ends with what it has."""

import datetime
import re
import time
from typing import Any

import click

_DURATION = re.compile(r"(?=.)(?:(\d{1,4})d)?(?:(\d{1,6})h)?(?:(\d{1,7})m(?:in)?)?(?:(\d{1,9})s?)?")
_UNITS = (86_400, 3600, 60, 1)


class _Deadline(click.ParamType[float]):
    name = "when"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return parse_deadline(str(value), time.time())
        except ValueError as error:
            self.fail(str(error), param, ctx)


def parse_deadline(text: str, now: float) -> float:
    """The moment that ``text`` names, in seconds since the epoch.

    A duration from ``now`` (``90m``, ``8h``, ``1d12h``, ``3600``: seconds) or a time (ISO 8601; without a zone the
    local one). Raises ValueError, with what to write instead.
    """
    duration = _DURATION.fullmatch(text.strip())
    if duration:
        seconds = sum(int(number or 0) * unit for number, unit in zip(duration.groups(), _UNITS, strict=True))
        if not seconds:
            raise ValueError(f"{text!r} is no time at all")
        return now + seconds
    try:
        moment = datetime.datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        way = "a duration (90m, 8h, 1d12h, 3600) or a time (2026-11-21T18:00)"
        raise ValueError(f"{text!r} is neither a duration nor a time; write {way}") from None
    if moment <= now:
        raise ValueError(f"{text!r} is over already")
    return moment


# Of every command that runs jobs; its value is seconds since the epoch, or None.
deadline_option = click.option(
    "--deadline",
    type=_Deadline(),
    help="end then with the best answer so far: after 90m, 8h, 1d12h, or at 2026-11-21T18:00",
)
