"""A job's answer with its costs, as scripts get it."""

from typing import Any, Protocol

from firstbad.session.state import fold
from firstbad.session.story import last_failure, wall_seconds
from firstbad.store import Event, StoredJob

_TOLD = (
    *("notes", "status", "commits", "probabilities", "confidence", "older", "boundary", "title", "noop"),
    *("why", "tested", "patched", "crashes", "clean", "other", "unreached", "crash_title", "chance"),
    *("rate", "rate_from", "is_merge", "proof", "claims", "to", "cc"),
)
"""Fields of the answer's event that are told, in this order."""


class Jobs(Protocol):
    """Where jobs are read from: a store, or a server elsewhere."""

    def job(self, number: int | None = None) -> StoredJob:
        """A job by number, the last one by default. Raises NotFoundError."""

    def events(self, job_id: int, after: int = -1) -> list[Event]:
        """Its events in order, from ``after`` (excluded) on."""


def result_json(store: Jobs, number: int) -> dict[str, Any]:
    """The answer with its costs, as scripts get it."""
    stored = store.job(number)
    events = store.events(number)
    state = fold(events, stored.job.title)
    finished = state.finished or state.budget or _failure(events)
    costs = {
        "revisions_tested": state.revisions_tested(),
        "builds": len(state.builds),
        "runs": state.runs(),
        "build_seconds": round(state.build_seconds(), 1),
        "test_seconds": round(state.test_seconds(), 1),
        "wall_seconds": round(wall_seconds(events), 1),
    }
    found = {key: finished[key] for key in _TOLD if key in finished}
    if state.config is not None:
        found["config"] = {key: value for key, value in state.config.items() if key not in ("text", "base")}
    if state.opinions.said:
        found["marked"] = [
            {"commit": one.commit, "says": one.says, "who": one.who, "why": one.why, "time": one.time}
            for one in state.opinions
        ]
    if state.verified:
        found["verified"] = sorted(state.verified)
    return {"job": number, "kind": stored.job.kind, **({"status": "unfinished"} | found), **costs}


def _failure(events: list[Event]) -> dict[str, Any]:
    """Why the last session could not give an answer, in the words of the contracts."""
    failed = last_failure(events)
    if failed is None:
        return {}
    status = failed.get("status")
    known = status in ("not_reproduced", "untestable", "infra_failure")
    return {"status": status if known else "unfinished", "why": failed["error"]}
