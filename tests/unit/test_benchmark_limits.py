"""The limits that the benchmarks measure against: figures worked out beforehand, and what must hold between them."""

import math

import pytest
from benchmarks.limits import Lab, bits, minutes, rate_of_bits

RATES = (1.0, 0.5, 0.2, 0.1, 0.05)
STATED = Lab(build=420.0, boot=0.0, run=300.0, machines=10, time_to_crash=0.0)


@pytest.mark.parametrize(("rate", "expected"), [(1.0, 155), (0.5, 156), (0.2, 198), (0.1, 267), (0.05, 404)])
def test_figures_of_the_design(rate: float, expected: int) -> None:
    assert round(minutes(15_000, rate, STATED, delta=0.05, reading="fixed")) == expected


def test_a_sure_crash_gives_one_bit_per_build_and_batch() -> None:
    assert rate_of_bits(1.0, STATED, "fixed") == pytest.approx(1 / 720.0, rel=1e-3)


def test_bits_of_a_certain_answer_are_those_of_the_number_of_commits() -> None:
    assert bits(1024, 1e-12) == pytest.approx(10.0)
    assert bits(1024, 0.05) == pytest.approx(0.95 * 10 + 0.05 * math.log2(0.05) + 0.95 * math.log2(0.95))


@pytest.mark.parametrize("rate", RATES)
def test_more_freedom_is_never_slower(rate: float) -> None:
    fixed, interval, continuous = (minutes(1_000, rate, reading=how) for how in ("fixed", "interval", "continuous"))
    assert continuous <= interval <= fixed


def test_rarer_crashes_take_longer() -> None:
    found = [minutes(15_000, rate) for rate in RATES]
    assert found == sorted(found)


def test_crashes_that_come_at_once_need_no_long_runs() -> None:
    assert minutes(1_000, 0.5, Lab(time_to_crash=1.0)) < minutes(1_000, 0.5, Lab(time_to_crash=60.0))
