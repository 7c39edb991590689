"""Our search without one of its parts, by putting something simpler in that part's place."""

import contextlib
import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np

from firstbad.inference.belief import Belief
from firstbad.inference.model import Model
from firstbad.session import decide, view

_Patches = Callable[[], list[Any]]
# By name: the package has functions of the same names.
_answer, _choice = (importlib.import_module(f"firstbad.inference.{name}") for name in ("answer", "choice"))


def _model(**changes: Any) -> _Patches:
    """Every model made by the session, with some parameters at other values."""

    def patches() -> list[Any]:
        return [
            patch.object(view, "Model", lambda **given: Model(**(given | changes))),
            patch.object(view, "MODEL", replace(view.MODEL, **changes)),
        ]

    return patches


def _broken_alone(belief: Belief) -> Any:
    chance = np.full(belief.dag.n, 0.01)
    chance[list(belief.broken)] = 1.0
    return chance


PARTS: Mapping[str, _Patches] = {
    # The crash rate is the same in all of history.
    "drift": _model(spread_weight=0.0),
    # A clean run at a revision means what it says, however many there are.
    "masks": _model(mask=1e-9),
    # The bug's own title is never seen without the bug (1e-6 in place of 0, which could never be revised).
    "false": _model(false_rate=1e-6),
    # Clean runs take their full length.
    "cutting": lambda: [patch.object(decide.Decider, "_shorter", lambda *_: False)],
    # A revision that does not build says nothing about its neighbours.
    "stretches": lambda: [patch.object(module, "broken_chance", _broken_alone) for module in (_choice, _answer)],
    # Lost runs at a revision say nothing about runs elsewhere.
    "lost": lambda: [patch.object(_choice, "kept_share", lambda belief: np.ones(belief.dag.n))],
}

__all__ = ["PARTS", "without"]


@contextlib.contextmanager
def without(part: str) -> Iterator[None]:
    """Within, our search does without the part. Raises KeyError for an unknown one."""
    with contextlib.ExitStack() as stack:
        for one in PARTS[part]():
            stack.enter_context(one)
        yield
