"""Coefficients fitted to history: read whole or refused, and what is computed from them."""

import os
import re
from dataclasses import FrozenInstanceError
from importlib.resources import files
from pathlib import Path

import pytest

from firstbad.inference.facts import Age, Mask, Place, Strays, Untestable, facts, read_facts


@pytest.fixture(scope="module")
def text() -> str:
    return files("firstbad.inference").joinpath("history.toml").read_text(encoding="utf-8")


def test_shipped_coefficients_are_read_once_and_frozen(text):
    assert facts() is facts()
    assert facts() == read_facts(text)
    with pytest.raises(FrozenInstanceError):
        facts().mask.bisect = 0.5


def test_shipped_weights_are_distributions():
    made = facts()
    for grid, weights in (
        (made.rates.rates, made.rates.weights),
        (made.unrelated.shares, made.unrelated.weights),
        (made.same_title.shares, made.same_title.weights),
    ):
        assert len(grid) == len(weights)
        assert sum(weights) == pytest.approx(1, abs=0.01)
    assert min(made.rates.rates) > 0


def test_doubt_grows_with_the_distance_from_the_newest_crash():
    mask = Mask(release_first=0.2, release_later=0.1, bisect=0.02)
    assert mask.release(1) == pytest.approx(0.2)
    assert mask.release(3) == pytest.approx(1 - 0.8 * 0.9 * 0.9)
    assert mask.release(5, crashed=4) == pytest.approx(0.1)
    assert mask.release(5, crashed=3) == pytest.approx(1 - 0.9 * 0.9)
    for k, crashed in ((0, 0), (2, 2), (2, -1)):
        with pytest.raises(ValueError, match="not older"):
            mask.release(k, crashed)


def test_weights_of_the_gaps_and_older_make_one():
    age = Age(base=-1.0, first=0.5, slope=-1.0)
    assert age.hazard(1) == pytest.approx(1 / (1 + 2.718281828**0.5))
    assert age.hazard(2) == pytest.approx(1 / (1 + 2 * 2.718281828))
    assert sum(age.weight(k) for k in range(1, 31)) + age.older(30) == pytest.approx(1)
    assert age.older(0) == 1
    with pytest.raises(ValueError, match="from 1"):
        age.hazard(0)


def test_place_untestable_and_strays():
    assert Place(offset=2.0, power=1.0).weight(2) == pytest.approx(0.25)
    chance = Untestable(0.0, 1.0, 0.1, 0.9, 0.3, 0.1, 0.7)
    assert chance.release(1) == pytest.approx(0.5)
    assert chance.release(3) == pytest.approx(0.75)
    with pytest.raises(ValueError, match="from 1"):
        chance.release(0)
    assert Strays((0.0, 0.5), (0.8, 0.2)).mean == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("find", "replacement", "why"),
    [
        (r"(?m)^release_first = .*$", "release_first = 1.5", r"\[mask\] release_first is out of its range"),
        (r"(?m)^release_first = .*$", 'release_first = "no"', r"\[mask\] release_first is not made of numbers"),
        (r"(?m)^release_first = .*\n", "", r"\[mask\] has"),
        (r"(?m)^release_first = ", "release_frist = 0.1\nrelease_first = ", r"\[mask\] has"),
        (r"(?m)^worth = .*$", "worth = 0.0", r"\[drift\] worth is out of its range"),
        (r"(?ms)^weights = \[.*?\]", "weights = [0.5, 0.5]", r"\[rates\] grid and weights are not of one length"),
        (r"(?ms)^(\[same_title\].*?weights = \[).*?\]", r"\1 1.0 ]", r"\[same_title\] grid and weights are not of one"),
        (r"(?m)^    0\.5018, ", "    0.4418, ", r"\[rates\] weights do not sum to 1"),
        (r"(?m)^    0\.5018, ", "    0.5618, ", r"\[rates\] weights do not sum to 1"),
        (r"(?m)^    0\.5018, ", "    -0.5018, ", r"\[rates\] weights is out of its range"),
        (r"(?m)^rates = \[$", "rates = [ nan,", r"\[rates\] "),
        (r"(?m)^\[stack_files\]", "[stack_flies]", "tables"),
    ],
)
def test_a_broken_file_is_refused_with_the_name_of_what_is_wrong(text, find, replacement, why):
    broken, count = re.subn(find, replacement, text, count=1)
    assert count == 1
    with pytest.raises(ValueError, match=why):
        read_facts(broken)


def test_a_refit_gives_what_ships(text):
    place = Path(os.environ.get("FIRSTBAD_SHARED", Path(__file__).parents[3] / "shared")) / "bisections"
    if not (place / "truth.jsonl").exists():
        pytest.skip("no labelled bisections here; FIRSTBAD_SHARED names the directory that holds `bisections`")
    from benchmarks.fit_history import as_toml, fit_all, read_cases

    refit, shipped = read_facts(as_toml(fit_all(read_cases(place)))), read_facts(text)
    assert refit.mask.release_first == pytest.approx(shipped.mask.release_first, rel=0.1)
    assert refit.mask.bisect == pytest.approx(shipped.mask.bisect, rel=0.1)
    assert refit.age.older(20) == pytest.approx(shipped.age.older(20), rel=0.05)
    assert refit.rates.weights == pytest.approx(shipped.rates.weights, abs=0.01)
    assert refit.drift.share == pytest.approx(shipped.drift.share, rel=0.2)
