"""What lists show of a job, kept beside its events: each event's changes, for the transaction that appends it."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from firstbad.store.jobs import UNANSWERED_STATES
from firstbad.store.tables import jobs

_TITLE = 500  # letters
_AFTERWARDS = ("mail", "told")  # they tell of what became of an answer, not of the work


def text(value: object, most: int = _TITLE) -> str:
    """Text as every database takes it: no NUL, no half of a character, not too long."""
    return str(value).replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()[:most]


def changes(kind: str, data: Mapping[str, Any], time: float) -> dict[str, Any]:
    """Columns of ``jobs`` that an event sets, by expressions over what they were; ``state`` as `job_state` says it.

    A pure function: the columns of a job are the fold of it over the job's events.
    """
    if kind in _AFTERWARDS:
        return {}
    found = _FOLDS[kind](data, time) if kind in _FOLDS else {}
    if "state" not in found:
        found["state"] = sa.case((jobs.c.state == "new", "interrupted"), else_=jobs.c.state)
    return found


def _started(_: Mapping[str, Any], time: float) -> dict[str, Any]:
    began = sa.case((jobs.c.started == 0, time), else_=jobs.c.started)
    return {"state": "interrupted", "started": began, **_no_answer()}


def _no_answer() -> dict[str, Any]:
    return {"status": "", "culprit": "", "culprit_title": "", "confidence": 0.0, "finished": 0.0}


def _build(data: Mapping[str, Any], _: float) -> dict[str, Any]:
    spent = 0.0 if data.get("cached") else float(data.get("seconds", 0.0))
    return {"builds": jobs.c.builds + 1, "cost": jobs.c.cost + spent, "attempts": 0}


def _verify(data: Mapping[str, Any], _: float) -> dict[str, Any]:
    return {"cost": jobs.c.cost + (0.0 if data.get("cached") else float(data.get("seconds", 0.0))), "attempts": 0}


def _run(data: Mapping[str, Any], _: float) -> dict[str, Any]:
    found = _spent(data, 0.0)
    if found:  # what was run elsewhere took no time here
        found["runs"] = jobs.c.runs + 1
    if data.get("outcome") == "crash" and data.get("title"):
        found["title"] = sa.case((jobs.c.title == "", text(data["title"])), else_=jobs.c.title)
    return found


def _spent(data: Mapping[str, Any], _: float) -> dict[str, Any]:
    wall = float(data.get("wall", 0.0))
    return {"cost": jobs.c.cost + wall, "attempts": 0} if wall or "reused" in data else {}


def _crash(data: Mapping[str, Any], _: float) -> dict[str, Any]:
    return {"title": text(data["title"])}


def _learned(data: Mapping[str, Any], _: float) -> dict[str, Any]:
    return {"title": text(data["titles"][0])} if data.get("titles") else {}


def _answer(data: Mapping[str, Any], time: float) -> dict[str, Any]:
    found = data.get("status") == "found"
    return {
        "status": text(data.get("status", "")),
        "culprit": text(data["commits"][0]) if found else "",
        "culprit_title": text(data.get("title", "")) if found else "",
        "confidence": float(data.get("confidence", 0.0)),
        "finished": time,
    }


def _finished(data: Mapping[str, Any], time: float) -> dict[str, Any]:
    """An answer that was found without what had been said by then is none."""
    heard = jobs.c.opinions == int(data.get("opinions", 0))
    made = {"state": "finished", **_answer(data, time)}
    return {name: sa.case((heard, value), else_=jobs.c[name]) for name, value in made.items()}


def _budget(data: Mapping[str, Any], time: float) -> dict[str, Any]:
    return {"state": "out of time", **_answer(data, time)}


def _failed(data: Mapping[str, Any], time: float) -> dict[str, Any]:
    return {"state": "failed", "status": text(data.get("status", "")), "finished": time}


def _cancelled(_: Mapping[str, Any], time: float) -> dict[str, Any]:
    return {"state": "cancelled"}


def _opinion(_: Mapping[str, Any], __: float) -> dict[str, Any]:
    answered = jobs.c.state.in_(("finished", "reopened"))
    ended = (jobs.c.state.in_(UNANSWERED_STATES), "interrupted")
    state = sa.case((answered, "reopened"), ended, (jobs.c.state == "new", "interrupted"), else_=jobs.c.state)
    return {"state": state, "opinions": jobs.c.opinions + 1, **_no_answer()}


_FOLDS = {
    "started": _started,
    "build": _build,
    "trial-build": _build,
    "proof-build": _build,
    "verify": _verify,
    "run": _run,
    "trial-run": _run,
    "proof-run": _spent,
    "crash": _crash,
    "learned": _learned,
    "finished": _finished,
    "budget": _budget,
    "failed": _failed,
    "cancelled": _cancelled,
    "opinion": _opinion,
}
