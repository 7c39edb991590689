"""What a batch would show and how long it would take, against sums and integrals by definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_inference_belief import SMALL, evidences, laws, triggered

from firstbad.inference import Costs, Evidence, Exposure
from firstbad.inference.exposure import SHARES
from firstbad.inference.forecast import Option, batch_seconds, quiet_chance

LAWS = laws(SMALL)
OPTIONS = [Option(1, 1.0, 300.0), Option(3, 0.5, 40.0), Option(7, 0.9, 120.0), Option(40, 1.0, 300.0)]


@given(evidences())
def test_quiet_chance_is_a_ratio_of_likelihoods(seen):
    found = quiet_chance(SMALL.laws, OPTIONS, seen)
    for i, option in enumerate(OPTIONS):
        for j, law in enumerate(LAWS):
            before = triggered(law, seen)
            if before > 1e-200:
                after = triggered(law, seen.plus(Evidence(cut=((option.share, option.runs),))))
                assert found[i, j] == pytest.approx(after / before, rel=1e-7, abs=1e-12)


def test_quiet_chance_before_any_run():
    assert quiet_chance(SMALL.laws, OPTIONS) == pytest.approx(quiet_chance(SMALL.laws, OPTIONS, Evidence()))


def seconds_by_definition(rate, option, costs):
    """Round by round: made if no earlier one crashed, ended by its first crash if the time of that is known."""
    total, left, alive = 0.0, option.runs, 1.0
    while left:
        now = min(left, costs.machines)
        if costs.exposure is None:
            waited = option.seconds
        else:
            at = np.linspace(0.0, option.seconds, 20_001)
            quiet = (1 - rate * costs.exposure.share(at)) ** now
            waited = float(((quiet[1:] + quiet[:-1]) / 2).mean() * option.seconds)
        total += alive * (costs.boot_seconds + waited)
        alive *= (1 - rate * option.share) ** now
        left -= now
    return total


@pytest.mark.parametrize("machines", [1, 3, 10])
@pytest.mark.parametrize("crash_seconds", [None, [], [5.0, 9.0, 2.0]])
def test_seconds_of_a_batch(machines, crash_seconds):
    exposure = None if crash_seconds is None else Exposure(crash_seconds, 300.0)
    costs = Costs(np.zeros(1), 300.0, machines, 25.0, exposure)
    sizes = sorted({1, min(2, machines), machines, 3 * machines})  # rounds are full, as in all that is considered
    options = [Option(runs, 1.0, 300.0) for runs in sizes]
    if exposure is not None:
        options += [Option(runs, share, exposure.seconds(share)) for runs in sizes for share in SHARES]
    crashing, clean = batch_seconds(SMALL.laws, options, costs)
    for i, option in enumerate(options):
        rounds = -(-option.runs // machines)
        assert clean[i] == pytest.approx(rounds * (25.0 + option.seconds))
        expected = [seconds_by_definition(rate, option, costs) for rate, _, _ in LAWS]
        assert crashing[i] == pytest.approx(expected, rel=0.01, abs=3.0)  # 16 points of an integral against 20,000


def test_a_sure_crash_makes_one_round_of_full_runs():
    costs = Costs(np.zeros(1), 300.0, 10)
    crashing, _ = batch_seconds(SMALL.laws, [Option(30, 1.0, 300.0)], costs)
    assert crashing[0, [rate for rate, _, _ in LAWS].index(1.0)] == pytest.approx(300.0)


@given(st.integers(1, 20), st.integers(1, 200), st.booleans())
def test_batches_that_are_considered(machines, most, shorter):
    exposure = Exposure([], 300.0) if shorter else None
    options = Costs(np.zeros(1), 300.0, machines, exposure=exposure).options(most)
    sizes = [option.runs for option in options]
    assert sizes == sorted(sizes)
    assert len(set(options)) == len(options)
    assert 1 in sizes
    assert max(sizes) <= most
    for option in options:
        assert option.runs < machines or option.runs % machines == 0 or option.runs == 1
        if exposure is None:
            assert (option.share, option.seconds) == (1.0, 300.0)
        else:
            assert float(exposure.share(option.seconds)) == pytest.approx(option.share)


@pytest.mark.parametrize(
    "arguments",
    [
        (np.zeros(3), 1.0, 0),
        (np.array([0.0, -1.0]), 1.0, 1),
        (np.zeros(3), -1.0, 1),
        (np.zeros(3), 1.0, 1, -1.0),
    ],
)
def test_impossible_costs(arguments):
    with pytest.raises(ValueError, match="at least one machine"):
        Costs(*arguments)
