"""What is likely to be asked for next, thought through before it is asked."""

import heapq
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

from firstbad.inference import Belief, Evidence
from firstbad.session.steps import Step

LEAST = 0.02  # chance that a revision is wanted, below which no builder is given to it
_LOOKS = 40  # outcomes that are thought through; each takes as long as the choice of a test

_Path = tuple[tuple[int, Evidence], ...]


def likely(
    belief: Belief, first: Step, index: Callable[[str], int], then: Callable[[], Step | None]
) -> Iterator[tuple[Step, float]]:
    """Steps at other revisions than ``first``'s, each with the chance that it will be taken, the more probable first.

    The tree of outcomes is walked best first: a step crashes or comes out clean, ``then`` says what would be asked next
    if ``belief`` had seen that (None: nothing), and so on. ``index`` is a commit's in the belief's range.
    """
    order = count()
    paths: list[tuple[float, int, _Path, Step]] = [(-1.0, next(order), (), first)]
    met = {first.commit}
    for _ in range(_LOOKS):
        if not paths:
            return
        chance, _, path, step = heapq.heappop(paths)
        if step.commit not in met:
            yield step, -chance
        met.add(step.commit)
        for share, told in _outcomes(belief, step, index(step.commit), path):
            if -chance * share < LEAST:
                continue
            with _supposed(belief, told):
                following = then()
            if following is not None:
                heapq.heappush(paths, (chance * share, next(order), told, following))


def _outcomes(belief: Belief, step: Step, at: int, path: _Path) -> list[tuple[float, _Path]]:
    """The two ends of a step, with their chances, as what would be known then."""
    with _supposed(belief, path):
        seen = belief.evidence(at)
        crash = float(step.data["p_crash"] if "p_crash" in step.data else belief.p_bug(at))
    before = tuple(pair for pair in path if pair[0] != at)
    shown = ((crash, Evidence(crashes=1)), (1.0 - crash, Evidence(clean=step.runs)))
    return [(share, (*before, (at, seen.plus(evidence)))) for share, evidence in shown]


@contextmanager
def _supposed(belief: Belief, path: _Path) -> Iterator[None]:
    """``belief`` as if it had seen that."""
    before = [(at, belief.evidence(at)) for at, _ in path]
    try:
        for at, evidence in path:
            belief.record(at, evidence)
        yield
    finally:
        for at, evidence in before:
            belief.record(at, evidence)
