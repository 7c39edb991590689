"""The belief as event data: what is kept of it, and how frames of different sizes are laid over each other."""

import numpy as np
import pytest

from firstbad.session.sketch import drawn, letters, shares_of
from firstbad.store import Event


def test_shares_come_back_nearly():
    shares = np.array([0.6, 0.3, 0.09, 1e-3, 1e-6, 0.0])
    back = shares_of(letters(shares), float(shares.sum()))
    assert back[-1] == 0
    assert back[:5] == pytest.approx(shares[:5], rel=0.3)
    assert back.sum() == pytest.approx(shares.sum())


def test_nothing_is_no_picture():
    assert letters(np.zeros(3)) == "000"
    assert shares_of("000", 0.0).tolist() == [0, 0, 0]
    assert drawn([]) == (None, {})


def marked(number, at, first, shades, commits=1000, older=0.0, verdict="bad"):
    data = {"commits": commits, "first": first, "oldest": "a", "newest": "b", "at": at, "older": older,
            "shades": shades, "tags": [[500, "v1"], [900, "v2"]]}  # fmt: skip
    test = Event(2 * number, 0.0, "test", {"commit": "c"})
    return [test, Event(2 * number + 1, 0.0, "mark", {"verdict": verdict, "sketch": data})]


def test_the_last_frame_is_that_of_all():
    wide, near = "z" * 100, "0" * 100 + "z" * 100
    belief, strips = drawn([*marked(0, 10, 0, wide), *marked(1, 990, 800, near, verdict="good")])
    assert belief.commits == 200
    assert belief.columns == 200
    assert [place for place, _ in belief.releases] == [pytest.approx(100 / 199)]
    first, last = strips[0], strips[1]
    assert sum(first.shares) == pytest.approx(0.2)
    assert first.older == pytest.approx(0.8)
    assert first.tested == -1
    assert sum(last.shares[:100]) == pytest.approx(0)
    assert sum(last.shares) == pytest.approx(1)
    assert last.tested == 190
    assert last.verdict == "good"


def test_another_range_is_left_out_and_many_tests_are_thinned():
    events = [event for n in range(200) for event in marked(n, 5, 0, "z" * 100, commits=100 if n else 90)]
    belief, strips = drawn(events)
    assert len(belief.strips) <= 61
    assert 0 not in strips
    assert 199 in strips


def test_marks_without_a_sketch_are_passed_over():
    events = [Event(0, 0.0, "test", {"commit": "c"}), Event(1, 0.0, "mark", {"verdict": "skip"})]
    assert drawn(events) == (None, {})
