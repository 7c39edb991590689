"""Stated probability against frequency, and the cost of the search, over seeded simulated bisections."""

from math import log2, sqrt

import numpy as np
import pytest

from firstbad.inference import Model
from firstbad.inference.lab import Lab, linear, linux_shaped, simulate

SIZE = 64
MODEL = Model()


def drawn(seed, target):
    """One bisection whose every fact is drawn from the prior: rate, masks, culprit or none, strangers."""
    rng = np.random.default_rng(seed)
    graph = linear(SIZE) if seed % 2 else linux_shaped(SIZE, seed, release=SIZE // 2)
    weights = np.array(MODEL.rate_weights) / sum(MODEL.rate_weights)
    rate = float(rng.choice(MODEL.rates, p=weights))
    truth = None if rng.random() < MODEL.older else int(rng.integers(1, graph.n))
    masked = np.flatnonzero(rng.random(graph.n) < MODEL.mask).tolist()
    start = graph.n - 1
    lab = Lab(rate, 0.01, MODEL.false_rate, masked=[r for r in masked if r != start])
    return simulate(graph, truth, lab, seed=seed, target=target)


def too_far(hits, stated):
    """Whether hits are 3.3 standard deviations (1 in 1,000) off what the statements add up to."""
    expected = sum(stated)
    spread = sqrt(sum(p * (1 - p) for p in stated))
    return abs(hits - expected) > 3.3 * spread + 0.5


@pytest.mark.parametrize("target", [0.8, 0.95])
def test_stated_probability_is_the_frequency(target):
    outcomes = [drawn(seed, target) for seed in range(200)]
    decided = [o for o in outcomes if o.answer.status != "undecided"]
    assert len(decided) >= 0.95 * len(outcomes)
    assert not too_far(sum(o.right for o in decided), [o.answer.confidence for o in decided])


def test_a_bug_that_always_crashes_takes_log2_n_revisions():
    truths = np.random.default_rng(8).integers(1, 256, 60)
    outcomes = [simulate(linear(256), int(t), Lab(), seed=seed) for seed, t in enumerate(truths)]
    assert all(o.right and o.answer.status == "found" for o in outcomes)
    assert log2(256) <= np.mean([o.revisions for o in outcomes]) <= log2(256) + 2.5
    assert np.mean([o.runs / o.revisions for o in outcomes]) <= 4


def test_a_bug_that_crashes_every_fifth_time_is_found():
    truths = np.random.default_rng(9).integers(1, 128, 60)
    lab = Lab(crash_rate=0.2, unrelated=0.01, false_rate=0.001)
    outcomes = [simulate(linear(128), int(t), lab, seed=seed, target=0.99) for seed, t in enumerate(truths)]
    # at .99 each, more than 4 wrong of 60 happens once in 3,000 such tests
    assert sum(o.right for o in outcomes) >= 56
    assert np.mean([len(o.answer.commits) for o in outcomes]) < 1.2
