"""The benchmark's scenarios: the same for every policy, and what their conditions say."""

import numpy as np
from benchmarks.accuracy_cases import CONDITIONS, RATES, Cell, cells, scenario
from benchmarks.statistics import paired, wilson
from benchmarks.trials import kind_of

from firstbad.simulation import Result

SMALL = 200


def test_a_scenario_depends_on_its_cell_and_number_alone() -> None:
    cell = Cell("linux", SMALL, "broken", 0.5)
    one, same, other = scenario(cell, 3), scenario(cell, 3), scenario(cell, 4)
    assert (one.introduced, one.seed) == (same.introduced, same.seed)
    assert one.lab.broken_build is not None
    assert np.array_equal(one.lab.broken_build, same.lab.broken_build)
    assert one.seed != other.seed


def test_the_start_has_the_bug_and_shows_it_under_every_condition() -> None:
    for condition in CONDITIONS:
        for number in range(20):
            made = scenario(Cell("linux", SMALL, condition, 0.5), number)
            lab, start = made.lab, made.history.index[made.task.start]
            assert made.present()[start]
            assert not made.present()[made.history.index[made.task.good[0]]]
            assert lab.masked is None or not lab.masked[start]
            assert lab.broken_build is None or not lab.broken_build[start]
            assert all(other.where is None or not other.where[start] for other in lab.unrelated)
            assert lab.rates is None or lab.rates[start] == lab.crash_rate


def test_a_masked_stretch_begins_at_the_culprit() -> None:
    made = scenario(Cell("linear", SMALL, "masked-reach", 0.5), 1)
    assert made.lab.masked is not None
    assert made.lab.reach is not None
    hidden = np.flatnonzero(made.lab.masked)
    assert hidden[0] == made.history.index[str(made.introduced)]
    assert made.lab.reach[hidden].max() < 0.1


def test_the_full_table_has_every_combination() -> None:
    assert len(cells(True)) == 2 * 2 * len(CONDITIONS) * len(RATES)
    assert set(cells(False)) <= set(cells(True))


def test_wilson_interval_of_a_known_case() -> None:
    found = wilson(50, 100)
    assert (round(found.low, 3), round(found.high, 3)) == (0.404, 0.596)
    assert wilson(20, 20).low > 0.8


def test_paired_differences_cancel_what_both_share() -> None:
    rng = np.random.default_rng(0)
    hard = rng.normal(100.0, 50.0, size=400)
    found = paired(list(hard + 1.0 + rng.normal(0, 0.1, 400)), list(hard))
    assert found.low < 1.0 < found.high
    assert found.high - found.low < 0.05


def test_what_an_answer_is_worth() -> None:
    assert kind_of(Result("x", "found", ("c1",)), "c1") == "right"
    assert kind_of(Result("x", "found", ("c2",)), "c1") == "wrong"
    assert kind_of(Result("x", "candidates", ("c2", "c1")), "c1") == "set"
    assert kind_of(Result("x", "candidates", ("c2", "c3")), "c1") == "missed"
    assert kind_of(Result("x", "older_than_oldest"), "c1") == "wrong"
    assert kind_of(Result("x", "older_than_oldest"), None) == "right"
    assert kind_of(Result("x", "not_reproduced"), "c1") == "none"
