"""Where the next test may be wasted, beside figures worked out by hand on a line of commits."""

import numpy as np
import pytest
from test_inference_belief import belief_on_line

from firstbad.inference import Belief, Dag, Evidence
from firstbad.inference.breakage import away, broken_chance, kept_share


def test_far_from_anything_one_revision_in_a_hundred_is_broken():
    belief = belief_on_line(40)
    assert broken_chance(belief) == pytest.approx(np.full(40, 0.01))
    belief.observe(39, crashes=1)
    assert broken_chance(belief)[38:].tolist() == [0.01, 0.0], "what ran is not broken"


def test_around_one_that_is_broken_it_falls_with_the_root_of_the_distance():
    belief = belief_on_line(60)
    belief.untestable(30)
    chance = broken_chance(belief)
    for apart in (1, 5, 10, 29):
        by_hand = min((10 / (10 + apart)) ** 0.5, 0.97)
        assert chance[30 - apart] == pytest.approx(by_hand)
        assert chance[30 + apart] == pytest.approx(by_hand)
    assert chance[30] == 1.0


def test_what_worked_shields_what_lies_behind_it():
    belief = belief_on_line(60)
    belief.observe(40, clean=1)
    belief.untestable(30)
    chance = broken_chance(belief)
    # At 38: 8 from the broken one, 2 from what worked.
    assert chance[38] == pytest.approx((10 / 18) ** 0.5 * 2 / (2 + 8))
    assert chance[20] == pytest.approx((10 / 20) ** 0.5 * 20 / (20 + 10))
    assert chance[40] == 0.0


def test_the_reach_grows_with_the_stretch():
    """Two broken ones of different reasons, so that nothing is taken to lie between them."""
    belief = belief_on_line(100)
    belief.untestable(30, "this")
    belief.untestable(42, "that")
    assert broken_chance(belief)[60] == pytest.approx((22 / (22 + 18)) ** 0.5)


@pytest.mark.parametrize("apart", [4, 12])
def test_between_two_that_are_broken_for_one_reason_nearly_all_are(apart):
    belief = belief_on_line(100)
    belief.untestable(30, "same")
    belief.untestable(30 + apart, "same")
    chance = broken_chance(belief)
    inside = 0.97 - 0.15 * apart / (30 + apart)
    assert chance[30 + apart // 2] == pytest.approx(max(inside, ((10 + apart) / (10 + apart * 1.5)) ** 0.5))
    assert chance[30 + apart // 2] > 0.9
    other = belief_on_line(100)
    other.untestable(30, "same")
    other.untestable(30 + apart, "other")
    assert broken_chance(other)[30 + apart // 2] < chance[30 + apart // 2]


def test_not_where_something_between_them_works():
    belief = belief_on_line(100)
    belief.untestable(30, "same")
    belief.untestable(60, "same")
    belief.observe(45, clean=1)
    # Each has no kin nearer than what works: scale 10. Half way between one of them and what works:
    assert broken_chance(belief)[38] == pytest.approx((10 / 18) ** 0.5 * 7 / 15)
    three = belief_on_line(100)
    for revision in (30, 34, 60):
        three.untestable(revision, "same")
    three.observe(45, clean=1)
    assert broken_chance(three)[32] > 0.93, "two of three have nothing between them"


def test_tried_in_vain_between_the_same_two():
    """From five on the rule of succession, for all that no test told apart."""

    def tried(count: int) -> np.ndarray:
        belief = Belief(
            Dag([[]] + [[0]] * 200 + [list(range(1, 201))]), kind="cause", candidates=np.ones(202), start=201
        )
        belief.observe(201, crashes=1)
        for revision in range(1, count + 1):
            belief.untestable(revision, str(revision))
        return broken_chance(belief)

    shield = 200 / 202  # two commits from one another, two hundred from what worked
    assert tried(1)[150] == pytest.approx((10 / 12) ** 0.5 * shield)
    assert tried(4)[150] == pytest.approx((12 / 14) ** 0.5 * shield)
    for count in (5, 11, 12, 20):
        assert tried(count)[150] == pytest.approx(max((count + 1) / (count + 2), (12 / 14) ** 0.5 * shield)), count
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("firstbad.inference.breakage._STRETCH", -1.9)  # what lies near says next to nothing
        seen = {count: tried(count)[150] for count in (4, 5, 6)}
        assert seen[4] < 0.3
        assert [seen[5], seen[6]] == pytest.approx([6 / 7, 7 / 8])


def test_a_tenth_of_all_runs_gets_lost_before_anything_is_known():
    belief = belief_on_line(50)
    assert kept_share(belief) == pytest.approx(np.full(50, 1 - 0.2 / 2.2))
    belief.observe(20, clean=5, crashes=1)
    assert kept_share(belief) == pytest.approx(np.full(50, 1 - 0.2 / 2.2)), "where none was lost nothing is learned"


def test_lost_runs_count_half_at_thirty_commits():
    belief = belief_on_line(50)
    belief.record(10, Evidence(crashes=2, clean=3, lost=4, unreached=1, cut=((0.5, 2),)))
    belief.record(20, Evidence(clean=6))
    shares = kept_share(belief)
    for at in (10, 20, 40):
        first, second = 30 / (30 + abs(at - 10)), 30 / (30 + abs(at - 20))
        total, lost = 2.2 + first * 12 + second * 6, 0.2 + first * 5
        assert shares[at] == pytest.approx(1 - lost / total), at


def test_how_far_two_commits_are_apart():
    """What one contains and the other does not, either way."""
    dag = Dag([[], [0], [1], [0], [2, 3]])
    assert away(dag, 2).tolist() == [2, 1, 0, 3, 2]
    assert away(dag, 3).tolist() == [1, 2, 3, 0, 3]
    assert away(dag, 2).dtype == np.float64
