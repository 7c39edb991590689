"""How often the bug shows where it is: what clean runs of another kernel are measured by."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from firstbad.inference import Evidence, Exposure
from firstbad.inference.model import Laws
from firstbad.inference.unseen import (
    assumed_law,
    chance_unseen,
    learned_laws,
    rate_interval,
    runs_until,
    usual_rate,
)
from firstbad.session.decide import CONFIRM_SHARE
from firstbad.session.state import State
from firstbad.session.steps import Means
from firstbad.session.tally import Tally
from firstbad.session.view import MODEL


def seen_at(state: State, commit: str) -> dict[str, Any]:
    """What a revision's runs say of the bug's rate, as event data for :class:`CrashRate`; times in seconds."""
    tally = state.tally(commit)
    return {
        "start": commit,
        "crashes": tally.crashes,
        "clean": tally.clean,
        "cut": tally.cut,
        "crash_seconds": state.crash_seconds,
        "run_seconds": state.run_seconds,
    }


class CrashRate:
    """How often the bug shows, from the best that is known of it."""

    def __init__(
        self, known: Mapping[str, Any] | None, means: Means, took: Sequence[float] = (), assumed: float | None = None
    ) -> None:
        """``known`` is what :func:`seen_at` says; without, ``assumed`` is the rate, None for a usual one. ``took``:
        seconds of further runs to their end."""
        self.known, self.assumed = known, assumed
        seen = known or {}
        self.exposure = Exposure(seen.get("crash_seconds", []), means.run_seconds)
        self.seen = Evidence(
            seen.get("crashes", 0), seen.get("clean", 0), cut=self.exposure.shares(seen.get("cut", []))
        )
        ends = [*seen.get("run_seconds", []), *took]
        # Clean runs are ended early only where they go on to the limit anyway and where crashes told their times.
        cut = known and not means.full_length and any(s >= 0.95 * means.run_seconds for s in ends)
        self.share = CONFIRM_SHARE if cut else 1.0
        self.seconds = self.exposure.seconds(CONFIRM_SHARE) if cut else None

    @cached_property
    def laws(self) -> Laws:
        """What the rate may be, with weights."""
        if self.known is not None:
            return learned_laws(MODEL.laws, self.seen)
        return assumed_law(self.assumed or usual_rate(MODEL))

    def evidence(self, tally: Tally, patched: bool) -> Evidence:
        """The runs of the revision. A patch may well fix a bug by keeping everybody away from it: then a run that did
        not come near the crash's code is as good as another, elsewhere it has tested nothing."""
        if not patched or not tally.unreached:
            return tally.evidence(self.exposure)
        runs, share = tally.unreached, self.share
        more = Evidence(clean=runs) if share >= 1 else Evidence(cut=((share, runs),))
        return Evidence(tally.crashes, tally.clean, cut=self.exposure.shares(tally.cut)).plus(more)

    def runs_until(self, tally: Tally, chance: float, patched: bool) -> int:
        """How many more clean runs make it at most so probable that a bug that is there stays unseen."""
        return runs_until(self.laws, self.evidence(tally, patched), chance, self.share)

    def chance_unseen(self, tally: Tally, patched: bool) -> float:
        """How probable so many clean runs are if the bug is there."""
        return chance_unseen(self.laws, self.evidence(tally, patched))

    def data(self) -> dict[str, Any]:
        """The crash rate (mean and 90% interval), and where it is from."""
        return {"rate": [round(value, 3) for value in rate_interval(self.laws)], "rate_from": self._origin()}

    def _origin(self) -> str:
        known = self.known
        if known is not None:
            runs = known["crashes"] + known["clean"] + len(known["cut"])
            where = f" in job {known['job']}" if "job" in known else ""
            return f"{known['crashes']} of {runs} runs crashed at {known['start'][:12]}{where}"
        if self.assumed:
            return "said by you"
        return "assumed: nine in ten bugs of past bisections crash at least as often"


def percent(chance: float) -> str:
    """``0.3%``, ``12%``, ``0.0004%``: two digits that count."""
    return f"{float(f'{100 * chance:.2g}'):.10f}".rstrip("0").rstrip(".") + "%"
