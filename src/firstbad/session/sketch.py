"""The belief over a history as one short line of event data, so that no picture of it needs the repository again.

Each column stands for equally many commits in topological order, oldest first. A letter is the logarithm of its share
in proportion to the largest: ``z`` the largest, nine letters a decade, ``0`` for what is below 2e-7 of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firstbad.report.story import Belief, Strip
from firstbad.session.view import View
from firstbad.store import Event

COLUMNS = 240
STRIPS = 60  # tests whose belief is drawn; of more tests every second, third ... one
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_STEPS = 9  # letters a decade
_TAGS = 12  # releases that are kept
_WORTH = 0.001  # what is older than every tested revision and every candidate as probable as this is not drawn

Floats = NDArray[np.float64]


def sketch(view: View, tested: Iterable[str], commit: str) -> dict[str, Any]:
    """What is believed now, as data of the event that tells of the test of ``commit``."""
    index, count = view.range.index, len(view.range.hashes)
    posterior = view.belief.posterior
    likely = np.flatnonzero(posterior >= _WORTH)
    places = [index[one] for one in tested if one in index]
    first = max(0, min([*places, *likely[:1].tolist()], default=0))
    columns = min(COLUMNS, count - first)
    shares: Floats = np.bincount(_columns(count - first, columns), weights=posterior[first:], minlength=columns).astype(
        float
    )
    releases = sorted((at - first, tag) for at, tag in view.releases.items() if at >= first)
    kept = releases[:: -(-len(releases) // _TAGS)] if releases else []
    return {
        "commits": count,
        "first": first,
        "oldest": view.hash(first),
        "newest": view.hash(count - 1),
        "at": index.get(commit, -1),
        "older": round(max(0.0, 1.0 - float(shares.sum())), 6),
        "shades": letters(shares),
        "tags": [[at + first, tag[:40]] for at, tag in kept],
    }


def letters(shares: Floats) -> str:
    """A letter a share."""
    largest = float(shares.max()) if len(shares) else 0.0
    if largest <= 0:
        return "0" * len(shares)
    with np.errstate(divide="ignore"):
        steps = np.floor(np.log10(shares / largest) * _STEPS + 0.5)
    levels = np.clip(steps + len(_LETTERS) - 1, 0, len(_LETTERS) - 1).astype(int)
    return "".join(_LETTERS[level] for level in levels)


def shares_of(text: str, whole: float) -> Floats:
    """Inverse of :func:`letters`, as nearly as a ninth of a decade tells; ``whole`` is their sum."""
    levels = np.array([_LETTERS.find(letter) for letter in text], dtype=float)
    shares = np.where(levels > 0, 10.0 ** ((levels - len(_LETTERS) + 1) / _STEPS), 0.0)
    total = float(shares.sum())
    return shares * (whole / total) if total > 0 else shares


def drawn(events: Sequence[Event]) -> tuple[Belief | None, dict[int, Strip]]:
    """The belief after each test, and the same by the test's number (from 0), from what the events hold of it.

    The last one's frame is that of all. None where no event holds any; what is of another range is left out.
    """
    tests, seen = list[str](), list[tuple[int, Mapping[str, Any]]]()
    for event in events:
        if event.kind == "test":
            tests.append(event.data.get("commit", ""))
        elif event.kind == "mark" and "sketch" in event.data:
            # Several tests may have been open; the last one of the commit is meant.
            commit = event.data.get("commit", "")
            back = tests[::-1].index(commit) if commit in tests else 0
            seen.append((len(tests) - 1 - back, event.data))
    if not seen:
        return None, {}
    last = seen[-1][1]["sketch"]
    seen = [row for row in seen if row[1]["sketch"]["commits"] == last["commits"]]
    thinned = seen[:: -(-len(seen) // STRIPS)]
    thinned += seen[-1:] if thinned[-1] is not seen[-1] else []
    first = last["first"]
    strips = {at: _strip(data["sketch"], str(data["verdict"]), first, last["commits"]) for at, data in thinned}
    count = last["commits"] - first
    tags = tuple(((at - first) / max(count - 1, 1), str(tag)) for at, tag in last["tags"] if at >= first)
    columns = min(COLUMNS, count)
    return Belief(columns, count, last["oldest"], last["newest"], tags, tuple(strips.values())), strips


def _strip(data: Mapping[str, Any], verdict: str, first: int, commits: int) -> Strip:
    own, count = commits - data["first"], commits - first
    columns = min(COLUMNS, count)
    shares = shares_of(data["shades"], 1.0 - data["older"])
    place = int(_place(data["at"] - first, count, columns)) if data["at"] >= first else -1
    fitted = _refit(shares, data["first"], own, first, count, columns)
    older = max(0.0, 1.0 - float(fitted.sum()))
    return Strip(tuple(round(float(share), 6) for share in fitted), older, place, verdict)


def _refit(shares: Floats, start: int, own: int, first: int, count: int, columns: int) -> Floats:
    """Shares over the commits from ``start`` on, as columns over those from ``first`` on.

    What lies between two edges of the old columns is taken to be spread evenly.
    """
    if start == first and len(shares) == columns:
        return shares
    edges = start + np.arange(len(shares) + 1) * own / len(shares)
    below = np.concatenate([[0.0], np.cumsum(shares)])
    wanted = first + np.arange(columns + 1) * count / columns
    return np.diff(np.interp(wanted, edges, below))


def _columns(count: int, columns: int) -> NDArray[np.int64]:
    return (np.arange(count) * columns) // count


def _place(at: int, count: int, columns: int) -> int:
    return at * columns // count
