"""When the search stops, what it says, and what proof it asks for."""

import numpy as np
import pytest
from test_inference_belief import belief_on_line

from firstbad.inference import Answer, Belief, Dag, Evidence, answer, needs_confirmation, smallest_set
from firstbad.inference.belief import Model
from firstbad.inference.shapes import linear


def bisected(culprit=10, n=32, rate_runs=10):
    """A belief that has seen the culprit crash, its parent and one older commit clean."""
    belief = belief_on_line(n)
    belief.observe(n - 1, crashes=rate_runs)
    belief.observe(culprit, crashes=rate_runs)
    belief.observe(culprit - 1, clean=rate_runs)
    belief.observe(culprit - 5, clean=rate_runs)
    return belief


def test_found():
    result = answer(bisected(), 0.99)
    assert (result.status, result.commits) == ("found", [10])
    assert result.confidence == result.probabilities[0] > 0.99


def test_one_clean_revision_does_not_rule_out_its_mask():
    belief = belief_on_line(1000)
    belief.observe(999, crashes=10)
    belief.observe(1, crashes=10)
    belief.observe(0, clean=10)
    assert answer(belief, 0.99) is None
    assert answer(belief, 0.99, final=True).status == "undecided"
    assert answer(belief, 0.8).commits == [1]


def test_no_answer_while_tests_can_help():
    belief = belief_on_line()
    assert answer(belief, 0.99) is None
    belief.observe(0, clean=10)
    assert answer(belief, 0.9) is None
    late = answer(belief, 0.9, final=True)
    assert late.status == "candidates"
    assert late.confidence >= 0.9
    assert len(late.commits) < 31


def test_undecided_where_none_of_them_is_as_likely():
    result = answer(belief_on_line(), 0.99, final=True)
    assert result.status == "undecided"
    assert result.confidence < 0.99


def test_older_than_the_oldest():
    belief = belief_on_line()
    belief.observe(31, crashes=5)
    belief.observe(0, crashes=5)
    assert answer(belief, 0.99).status == "older_than_oldest"


@pytest.mark.parametrize("end", [13, 15])
def test_commits_behind_broken_ones_are_a_set(end):
    belief = belief_on_line()
    belief.observe(31, crashes=10)
    belief.observe(9, clean=10)
    belief.observe(end, crashes=10)
    assert answer(belief, 0.99) is None
    for revision in range(10, end):
        belief.untestable(revision)
    result = answer(belief, 0.99)
    assert result.status == "candidates"
    assert sorted(result.commits) == list(range(10, end + 1))
    assert sum(result.probabilities) == pytest.approx(result.confidence)
    assert result.confidence >= 0.99


def test_what_may_not_be_tested_separates_nothing():
    belief = belief_on_line()
    belief.observe(31, crashes=10)
    belief.observe(9, clean=10)
    belief.observe(12, crashes=10)
    allowed = np.ones(32, dtype=bool)
    allowed[[10, 11]] = False
    assert answer(belief, 0.99) is None
    assert sorted(answer(belief, 0.99, allowed=allowed).commits) == [10, 11, 12]


def test_smallest_set_is_smallest():
    belief = bisected()
    assert smallest_set(belief, 0.9) == [10]
    weights = np.arange(32.0)
    weighted = belief_on_line(prior=weights)
    weighted.observe(0, clean=10)
    chosen = smallest_set(weighted, 0.9)
    held = weighted.posterior[chosen]
    assert chosen[0] == 31
    assert (np.diff(held) <= 0).all()
    assert held.sum() >= 0.9 > held[:-1].sum()


def test_proof_wants_runs_of_culprit_and_parent_themselves():
    belief = belief_on_line(3)
    belief.observe(2, crashes=10)
    belief.observe(0, clean=10)
    wanted = dict(needs_confirmation(belief, 1, 0.99))
    assert set(wanted) == {1}
    assert 1 <= wanted[1] <= 3
    belief.observe(1, crashes=wanted[1])
    assert needs_confirmation(belief, 1, 0.99) == []


def test_seldom_crashes_want_many_clean_runs_of_the_parent():
    belief = belief_on_line(8)
    belief.observe(7, crashes=4, clean=16)
    belief.observe(4, crashes=2)
    ((parent, runs),) = needs_confirmation(belief, 4, 0.99)
    assert parent == 3
    assert 15 <= runs <= 120
    belief.observe(3, clean=runs)
    assert needs_confirmation(belief, 4, 0.99) == []


def test_every_parent_of_a_merge_and_none_that_is_broken():
    belief = Belief(Dag([[], [0], [0], [1, 2]]), kind="cause", candidates=np.arange(4) > 0, start=3)
    belief.observe(3, crashes=10)
    assert [revision for revision, _ in needs_confirmation(belief, 3, 0.99)] == [1, 2]
    belief.untestable(2)
    assert [revision for revision, _ in needs_confirmation(belief, 3, 0.99)] == [1]


def test_proof_of_a_fix_is_the_other_way_round():
    belief = Belief(Dag([[], [0], [1], [2]]), kind="fix", candidates=np.arange(4) > 0, start=0)
    belief.observe(0, crashes=10)
    belief.observe(3, clean=10)
    assert {revision for revision, _ in needs_confirmation(belief, 2, 0.99)} == {1, 2}
    belief.observe(1, crashes=5)
    belief.observe(2, clean=10)
    assert needs_confirmation(belief, 2, 0.99) == []
    assert answer(belief, 0.99).commits == [2]


def test_fixed_by_none():
    belief = Belief(Dag([[], [0], [1]]), kind="fix", candidates=np.arange(3) > 0, start=0)
    belief.observe(2, crashes=3)
    assert answer(belief, 0.99).status == "older_than_oldest"


def test_wrong_arguments():
    with pytest.raises(ValueError, match="target"):
        answer(bisected(), 1.0)
    with pytest.raises(ValueError, match="culprit"):
        needs_confirmation(bisected(), 0, 0.99)


def flat(n, older=None, prior=None):
    """A belief without any test over a line of n commits: each but the root as probable as the others."""
    model = Model(older=older) if older is not None else Model()
    return Belief(linear(n), kind="cause", candidates=np.arange(n) > 0, start=n - 1, model=model, prior=prior)


def test_the_smallest_set_of_many_commits_is_not_cut_short():
    """More commits than are sorted at first."""
    belief = flat(1001, older=1e-9)
    chosen = smallest_set(belief, 0.8999)
    assert len(chosen) == 900
    assert chosen == list(range(1, 901)), "equally probable ones by their index"
    assert belief.posterior[chosen].sum() == pytest.approx(0.9)
    prior = np.zeros(1001)
    prior[500:] = np.linspace(1, 2, 501)
    few = smallest_set(flat(1001, older=1e-9, prior=prior), 0.95)
    chances = flat(1001, older=1e-9, prior=prior).posterior
    assert few == sorted(range(1, 1001), key=lambda commit: (-chances[commit], commit))[: len(few)]
    assert chances[few].sum() >= 0.95 > chances[few[:-1]].sum()


def test_the_smallest_set_of_what_is_left_beside_none_of_them():
    belief = flat(11, older=0.5)
    assert belief.posterior.sum() == pytest.approx(0.5)
    assert len(smallest_set(belief, 0.9)) == 9, "nine of the ten hold .9 of the half"
    assert len(smallest_set(belief, 0.45)) == 9
    assert len(smallest_set(belief, 0.3)) == 6
    whole = flat(11, older=0.5)
    assert len(smallest_set(whole, float(whole.posterior.sum()))) == 10


def test_an_answer_says_all_that_it_says():
    gone = flat(11, older=0.95)
    assert answer(gone, 0.9) == Answer("older_than_oldest", [], [], gone.older)
    assert answer(gone, gone.older) == Answer("older_than_oldest", [], [], gone.older), "the bound itself is enough"
    both = flat(11, older=0.5)
    assert answer(both, 0.9) is None
    assert answer(both, 0.9, allowed=np.ones(11, dtype=bool)) is None, "one of them may be, and none of them too"
    said = answer(both, 0.9, final=True)
    assert said is not None
    assert (said.status, len(said.commits), len(said.probabilities)) == ("undecided", 9, 9)
    assert said.confidence == pytest.approx(sum(said.probabilities)) == pytest.approx(0.45)
    assert answer(flat(11, older=1e-9), 0.95) is None
    known = answer(flat(11, older=1e-9), 0.95, final=True)
    assert known is not None
    assert (known.status, known.commits) == ("candidates", list(range(1, 11)))
    assert known.confidence <= 1


@pytest.mark.parametrize("target", [0.0, 1.0, -0.1, 1.5])
def test_a_target_lies_between(target):
    with pytest.raises(ValueError, match="must lie strictly between 0 and 1"):
        answer(flat(5), target)


def test_a_set_is_an_answer_where_no_test_that_may_be_made_parts_it():
    belief = flat(7, older=1e-9)
    for bad in (1, 2, 3, 4, 5):
        belief.observe(bad, lost=200)
    assert bool(belief.unusable()[[1, 2, 3, 4, 5]].all())
    said = answer(belief, 0.95)
    assert said is not None
    assert (said.status, sorted(said.commits)) == ("candidates", [1, 2, 3, 4, 5, 6])
    assert answer(belief, 0.95, allowed=np.ones(7, dtype=bool)) == said, "what is broken parts nothing"
    allowed = np.zeros(7, dtype=bool)
    allowed[[0, 6]] = True
    assert answer(flat(7, older=1e-9), 0.95, allowed=allowed) is not None
    allowed[1] = True
    assert answer(flat(7, older=1e-9), 0.95, allowed=allowed) is None, "commit 1 alone is parted from the others"
    allowed[1], allowed[5] = False, True
    assert answer(flat(7, older=1e-9), 0.95, allowed=allowed) is None, "commit 6 alone is"


def test_a_set_too_large_to_look_at_is_no_answer_yet():
    most = 400
    for n, found in ((most + 1, True), (most + 2, False)):
        belief = flat(n, older=1e-9)
        allowed = np.zeros(n, dtype=bool)
        allowed[[0, n - 1]] = True
        said = answer(belief, 1 - 1e-6, allowed=allowed)
        assert (said is not None) == found, n
    assert said is None


def test_counts_below_zero_are_refused():
    belief = flat(5)
    for wrong in ({"crashes": -1}, {"clean": -1}, {"lost": -1}):
        with pytest.raises(ValueError, match="negative count of runs at revision 2"):
            belief.observe(2, **wrong)
    before = belief.posterior.copy()
    belief.observe(2)
    assert belief.posterior == pytest.approx(before), "nothing seen says nothing"
    assert belief.evidence(2) == Evidence()
