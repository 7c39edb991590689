"""Stated probability against frequency, and the cost of the search, over seeded simulated bisections by the product."""

import dataclasses
from itertools import pairwise
from math import log2, sqrt

import numpy as np
import pytest

from firstbad.inference.shapes import linear, linux_shaped
from firstbad.session.view import MODEL
from firstbad.simulation import Lab, Result, Scenario, SimHistory, Task, Unrelated, World
from firstbad.simulation.product import bisect

SIZE = 64
STRANGER = Unrelated("WARNING in x", 0.01)


def history(dag) -> SimHistory:
    return SimHistory([f"c{i}" for i in range(dag.n)], dag)


LINE = history(linear(SIZE))
SHAPED = [history(linux_shaped(SIZE, seed, release=SIZE // 2)) for seed in range(20)]


def play(past: SimHistory, truth: int, lab: Lab, seed: int, target: float = 0.99) -> Result:
    """One bisection between a good first commit and a crashing last one, all commits alike beforehand."""
    last = past.names[-1]
    task = Task("t", past, last, last, good=("c0",), target=target)
    scenario = Scenario(task, f"c{truth}", lab=lab, seed=seed)
    return bisect(scenario, World(scenario), priors=False)


def drawn(seed: int, target: float) -> tuple[Result, str]:
    """One whose every fact is drawn from what is believed beforehand: rate, drift, masks, strangers, and culprit."""
    rng = np.random.default_rng(seed)
    past = LINE if seed % 2 else SHAPED[seed // 2 % len(SHAPED)]
    n, laws = past.dag.n, MODEL.laws
    law = int(rng.choice(len(laws.rate), p=laws.weight))
    rate, spread = laws.rate[law], laws.spread[law]
    rates = np.full(n, rate) if np.isinf(spread) else rng.beta(rate * spread, (1 - rate) * spread, n)
    masked = rng.random(n) < MODEL.mask
    masked[-1] = False
    lab = Lab(rates=rates, masked=masked, false_rate=MODEL.false_rate, unrelated=(STRANGER,))
    truth = int(rng.integers(1, n))
    return play(past, truth, lab, seed, target), f"c{truth}"


def too_far(hits: int, stated: list[float]) -> bool:
    """Whether hits are 3.3 standard deviations (1 in 1,000) off what the statements add up to."""
    expected = sum(stated)
    spread = sqrt(sum(p * (1 - p) for p in stated))
    return abs(hits - expected) > 3.3 * spread + 0.5


@pytest.mark.parametrize("target", [0.8, 0.95])
def test_stated_probability_is_the_frequency(target):
    outcomes = [drawn(seed, target) for seed in range(200)]
    # A bug that was not seen at the start makes no statement.
    stated = [(result, truth) for result, truth in outcomes if result.commits]
    assert len(stated) >= 0.9 * len(outcomes)
    assert not too_far(
        sum(truth in result.commits for result, truth in stated), [result.confidence for result, _ in stated]
    )
    # The same of every commit that is named, by its own probability.
    each = [
        (name == truth, p)
        for result, truth in stated
        for name, p in zip(result.commits, result.probabilities, strict=True)
    ]
    assert not too_far(sum(hit for hit, _ in each), [p for _, p in each])


def test_what_is_known_half_way_is_as_probable_as_it_says():
    """Cut short by a budget, the whole posterior is told: small probabilities have to be right too."""
    chances, hits = [], []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        truth = int(rng.integers(1, SIZE))
        lab = Lab(crash_rate=float(rng.choice(MODEL.laws.rate)), unrelated=(STRANGER,))
        task = Task("t", LINE, "c63", "c63", good=("c0",), budget_seconds=float(rng.uniform(1_500, 4_000)))
        scenario = Scenario(task, f"c{truth}", lab=lab, seed=seed)
        result = bisect(scenario, World(scenario), priors=False)
        chances += result.probabilities
        hits += [name == f"c{truth}" for name in result.commits]
    edges = [0.0, 0.03, 0.1, 0.3, 0.7, 1.0]
    for low, high in pairwise(edges):
        inside = [i for i, p in enumerate(chances) if low < p <= high]
        assert len(inside) > 20
        assert not too_far(sum(hits[i] for i in inside), [chances[i] for i in inside]), (low, high)


def test_a_bug_that_always_crashes_takes_log2_n_revisions():
    truths = np.random.default_rng(8).integers(1, 256, 60)
    past = history(linear(256))
    outcomes = [play(past, int(t), Lab(), seed) for seed, t in enumerate(truths)]
    assert all(o.status == "found" and o.commits == (f"c{t}",) for o, t in zip(outcomes, truths, strict=True))
    assert log2(256) <= np.mean([o.revisions_tested for o in outcomes]) <= log2(256) + 2.5
    assert np.mean([o.runs / o.revisions_tested for o in outcomes]) <= 8  # of 10 machines


@pytest.mark.parametrize("kind", ["fixed", "drifting"])
def test_a_bug_that_crashes_every_fifth_time_is_found(kind):
    rng = np.random.default_rng(9)
    past = history(linear(128))
    lab = Lab(crash_rate=0.2, unrelated=(STRANGER,), false_rate=0.001)
    outcomes = []
    for seed, truth in enumerate(rng.integers(1, 128, 40).tolist()):
        if kind == "drifting":
            lab = dataclasses.replace(lab, rates=np.clip(0.2 + np.cumsum(rng.normal(0, 0.01, 128)), 0.08, 0.5))
        outcomes.append((play(past, truth, lab, seed), f"c{truth}"))
    # at .99 each, more than 3 wrong of 40 happens once in 1,400 such tests
    assert sum(truth in result.commits for result, truth in outcomes) >= 37
    assert np.mean([len(result.commits) for result, _ in outcomes]) < 1.3
