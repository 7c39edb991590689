"""Whole bisections in the simulated lab."""

import numpy as np
import pytest

from firstbad.inference.lab import Lab, linear, linux_shaped, simulate


@pytest.mark.parametrize("kind", ["cause", "fix"])
@pytest.mark.parametrize("truth", [3, 77, 147])
def test_line(kind, truth):
    outcome = simulate(linear(150), truth, Lab(), seed=1, kind=kind)
    assert (outcome.answer.status, outcome.answer.commits) == ("found", [truth])
    assert outcome.revisions <= 12
    assert outcome.seconds >= outcome.builds * 420 + 300


def test_seeded():
    graph = linux_shaped(200, 2, release=80)
    lab = Lab(crash_rate=0.3, unrelated=0.05, false_rate=0.01)
    assert simulate(graph, 50, lab, seed=4) == simulate(graph, 50, lab, seed=4)


@pytest.mark.parametrize("kind", ["cause", "fix"])
def test_merges(kind):
    graph = linux_shaped(200, 2, release=80)
    for truth in np.random.default_rng(5).integers(1, graph.n, 6):
        assert simulate(graph, int(truth), Lab(), seed=int(truth), kind=kind).answer.commits == [truth]


@pytest.mark.parametrize("kind", ["cause", "fix"])
def test_none_of_the_candidates(kind):
    outcome = simulate(linear(100), None, Lab(), seed=1, kind=kind)
    assert outcome.right
    assert outcome.answer.status == "older_than_oldest"


def test_truth_within_a_broken_stretch_gives_the_stretch():
    outcome = simulate(linear(200), 95, Lab(broken=range(90, 100)), seed=1)
    assert outcome.answer.status == "candidates"
    assert sorted(outcome.answer.commits) == list(range(90, 101))
    assert outcome.right


def test_truth_beside_a_broken_stretch_is_found():
    outcome = simulate(linear(500), 300, Lab(broken=range(200, 280)), seed=1)
    assert outcome.answer.commits == [300]
    assert outcome.builds <= 25


def test_all_runs_lost_everywhere_ends():
    outcome = simulate(linear(20), 7, Lab(unrelated=1.0), seed=1, most_tests=200)
    assert outcome.answer.status in ("undecided", "candidates")


def test_a_masked_revision_is_survived():
    right = [simulate(linear(64), 20, Lab(masked=[32, 40]), seed=seed, target=0.99).right for seed in range(3)]
    assert all(right)


def test_confirmation_is_counted_apart():
    outcome = simulate(linear(3), 1, Lab(crash_rate=0.2), seed=3)
    assert 0 <= outcome.confirmation_runs < outcome.runs
