"""How the belief over the history narrowed, test by test: the events once more, as far as each test's end."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from firstbad.home import Home
from firstbad.job import Job
from firstbad.kernel.artifacts import Artifacts
from firstbad.report.story import Belief, Strip
from firstbad.session.decide import Decider
from firstbad.session.question import find_question, history_of, pinned
from firstbad.session.sketch import COLUMNS, STRIPS, drawn
from firstbad.session.state import State, apply
from firstbad.session.steps import Means
from firstbad.session.symptom import may_be_cut
from firstbad.session.view import View
from firstbad.store import Event

_Snapshot = tuple[int, NDArray[np.float64], str]  # number of the test, posterior, tested revision


def narrowing(home: Home, job: Job, events: Sequence[Event]) -> tuple[Belief | None, dict[int, Strip]]:
    """The belief after each test, and the same by the test's number (from 0); None where nothing was searched.

    From the events alone where they hold it (all since :mod:`firstbad.session.sketch`), else from the repository.
    Raises UserError, NotFoundError, InfrastructureError when the repository is not what it was.
    """
    if job.kind == "test" or not any(event.kind == "started" for event in events):
        return None, {}
    marks = _marks(events)
    if all("sketch" in event.data for event in marks):
        return drawn(events)
    return _replayed(home, job, events, [event.seq for event in marks])


def needs_repository(events: Sequence[Event]) -> bool:
    """Whether the events were made before they held what is drawn."""
    return not all("sketch" in event.data for event in _marks(events))


def _marks(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if event.kind == "mark" and "left90" in event.data]


def _replayed(
    home: Home, job: Job, events: Sequence[Event], marks: list[int]
) -> tuple[Belief | None, dict[int, Strip]]:
    history = history_of(job)
    question = find_question(history, pinned(job, list(events)))
    state = State()
    means = Means(
        1, job.machine.run_seconds, full_length=not may_be_cut(job.bug), compiled=lambda c: _compiled(home, state, c)
    )
    decider = Decider(history, question, means)
    wanted = set(marks[:: -(-len(marks) // STRIPS)] + marks[-1:]) if marks else set()
    view: View | None = None
    seen: list[_Snapshot] = []
    for event in events:
        apply(state, event, job.title)
        if event.seq in wanted:
            view = decider.view(state)
            meant = state.test_of(event.data)
            number = next(i for i, test in enumerate(state.tests) if test is meant)
            seen.append((number, view.belief.posterior, str(event.data["commit"])))
    return _drawn(view, seen, state) if view is not None else (None, {})


def _compiled(home: Home, state: State, commit: str) -> frozenset[str]:
    build = state.builds.get(commit)
    built = Artifacts(home.artifacts, home.budget // 2).get(build.key) if build else None
    return built.compiled() if built else frozenset()


def _drawn(view: View, seen: Sequence[_Snapshot], state: State) -> tuple[Belief | None, dict[int, Strip]]:
    """Shares by column. What is older than every tested revision and every candidate worth a look is not drawn."""
    index, count = view.range.index, len(view.range.hashes)
    seen = [row for row in seen if len(row[1]) == count]
    places = [index[commit] for _, _, commit in seen if commit in index]
    likely = [int(np.flatnonzero(row >= 0.001)[0]) for _, row, _ in seen[-1:] if (row >= 0.001).any()]
    first = max(0, min([*places, *likely], default=0))
    columns = min(COLUMNS, count - first)
    column = (np.arange(count - first) * columns) // (count - first)
    strips = {}
    for number, posterior, commit in seen:
        shares = np.bincount(column, weights=posterior[first:], minlength=columns)
        place = int(column[index[commit] - first]) if index.get(commit, -1) >= first else -1
        mark = state.tests[number].mark or {}
        older = max(0.0, 1.0 - float(shares.sum()))
        row = tuple(round(float(share), 6) for share in shares)
        strips[number] = Strip(row, older, place, str(mark.get("verdict", "")))
    releases = sorted((at - first, tag) for at, tag in view.releases.items() if at >= first)
    names = tuple((at / max(count - first - 1, 1), tag) for at, tag in releases)
    drawn = tuple(strips.values())
    return Belief(columns, count - first, view.hash(first), view.hash(count - 1), names, drawn), strips
