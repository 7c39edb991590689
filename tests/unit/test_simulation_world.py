"""The simulated lab: what it shows, how time passes in it, and that it tells nothing of the truth."""

import dataclasses
import math

import numpy as np
import pytest

from firstbad.simulation import Lab, Scenario, SimHistory, Task, Unrelated, World

LINE = SimHistory([f"c{i}" for i in range(300)], [[i - 1] if i else [] for i in range(300)])


def world(introduced: str | None = "c100", seed: int = 1, **lab) -> World:
    task = Task("t", LINE, start="c299", head="c299")
    return World(Scenario(task, introduced, lab=Lab(**lab), seed=seed))


def only(*indices: int) -> np.ndarray:
    flags = np.zeros(300, dtype=bool)
    flags[list(indices)] = True
    return flags


def test_the_bug_is_where_the_introducing_commit_is_contained_and_the_fix_is_not():
    task = Task("t", LINE, start="c299", head="c299")
    scenario = Scenario(task, "c100", fixed="c200")
    assert np.flatnonzero(scenario.present()).tolist() == list(range(100, 200))
    assert Scenario(task).present().all()


def test_a_sure_bug_crashes_every_run_and_only_where_it_is():
    lab = world()
    lab.build("c100")
    lab.build("c99")
    assert {fact.outcome for fact in lab.batch("c100", 12)} == {"crash"}
    assert {fact.outcome for fact in lab.batch("c99", 12)} == {"ok"}
    assert lab.runs == 24


def test_a_build_costs_its_time_once_a_failed_one_too():
    lab = world(build_seconds=400, broken_build=only(7))
    assert lab.build("c7").error
    assert lab.clock == 400
    assert lab.build("c8").signature
    assert lab.build("c8").error == ""
    assert lab.clock == 800
    assert lab.builds == 2
    with pytest.raises(ValueError, match="c7 is not built"):
        lab.batch("c7", 1)


def test_rebuilds_near_the_builders_last_build_are_cheap():
    lab = world(build_seconds=400, incremental_seconds=50)
    seconds = [lab.build(f"c{i}").seconds for i in (10, 110, 111, 0, 200)]
    assert seconds == [400, 50, 50, 400, 400]


def test_builders_work_beside_each_other_and_beside_runs():
    lab = world(build_seconds=400, builders=2, boot_seconds=30, run_seconds=300)
    lab.build("c50")
    lab.start_build("c51")
    lab.start_build("c52")
    assert lab.clock == 400
    assert lab.idle_builders() == 0
    lab.batch("c50", 1)
    assert lab.clock == 730
    assert lab.building() == {"c51": 800, "c52": 800}
    lab.build("c52")
    assert lab.clock == 800
    assert lab.built("c51")


def test_a_build_given_up_can_be_asked_for_again():
    lab = world(build_seconds=400, builders=2)
    lab.start_build("c50")
    lab.start_build("c51")
    lab.cancel_build("c51")
    assert list(lab.building()) == ["c50"]
    assert lab.idle_builders() == 1
    lab.build("c50")
    lab.build("c51")
    assert lab.clock == 800


def test_equal_binaries_have_equal_signatures():
    groups = np.full(300, -1)
    groups[[5, 6]] = 0
    lab = world(binaries=groups)
    assert lab.build("c5").signature == lab.build("c6").signature != lab.build("c7").signature


def test_runs_beyond_the_machines_wait_for_one():
    lab = world(introduced="c299", build_seconds=0, boot_seconds=30, run_seconds=300, vms=10)
    lab.build("c5")
    lab.batch("c5", 25)
    assert lab.clock == pytest.approx(3 * 330)
    assert lab.vm_seconds == pytest.approx(25 * 330)
    lab.batch("c5", 5, seconds=20)
    assert lab.clock == pytest.approx(3 * 330 + 50)


def test_crash_times_are_exponential_and_cut():
    lab = world(introduced=None, build_seconds=0, time_to_crash=60, run_seconds=300, vms=1000)
    lab.build("c5")
    times = np.array([fact.seconds for fact in lab.batch("c5", 20_000)])
    assert times.max() <= 300
    expected = 60 - 300 / math.expm1(300 / 60)  # mean of an exponential given that it is below 300
    assert times.mean() == pytest.approx(expected, abs=3 * times.std() / math.sqrt(len(times)))


def test_a_shortened_run_crashes_less():
    lab = world(introduced=None, build_seconds=0, crash_rate=0.5, time_to_crash=60, run_seconds=300, vms=1000)
    lab.build("c5")
    crashes = sum(fact.outcome == "crash" for fact in lab.batch("c5", 20_000, seconds=60))
    expected = 0.5 * math.expm1(-1) / math.expm1(-5)
    assert crashes / 20_000 == pytest.approx(expected, abs=3 * math.sqrt(expected * (1 - expected) / 20_000))


def test_rates_of_unrelated_crashes_infrastructure_and_false_titles():
    other = Unrelated("WARNING in bar", 0.3, where=only(5, 6))
    lab = world(build_seconds=0, false_rate=0.1, infra_rate=0.2, unrelated=(other,), vms=1000)
    for commit, strangers in (("c5", True), ("c9", False)):
        lab.build(commit)
        facts = lab.batch(commit, 20_000)
        seen = {title: sum(fact.title == title for fact in facts) / 20_000 for title in {f.title for f in facts}}
        assert seen["infrastructure failure"] == pytest.approx(0.2, abs=0.01)
        if strangers:  # where both would come, the first one is seen
            assert 0.8 * 0.27 < seen["WARNING in bar"] < 0.8 * 0.3
        else:
            assert "WARNING in bar" not in seen
            assert seen["crash occurs"] == pytest.approx(0.08, abs=0.01)


def test_boots_fail_where_they_must_and_take_the_boot_time():
    lab = world(build_seconds=0, broken_boot=only(5))
    lab.build("c5")
    facts = lab.batch("c5", 3)
    assert {fact.outcome for fact in facts} == {"boot"}
    assert lab.clock == 30


def test_masked_commits_stay_clean():
    lab = world(introduced=None, build_seconds=0, masked=only(5))
    lab.build("c5")
    assert {fact.outcome for fact in lab.batch("c5", 20)} == {"ok"}


def test_titles_by_weight_and_their_types():
    titles = {"KASAN: use-after-free Read in foo": 3.0, "odd thing": 1.0}
    lab = world(introduced=None, build_seconds=0, titles=titles, types={"odd thing": "ODD"}, frames=("a.c",), vms=1000)
    lab.build("c5")
    facts = lab.batch("c5", 8000)
    share = sum(fact.title == "odd thing" for fact in facts) / 8000
    assert share == pytest.approx(0.25, abs=0.02)
    types = {fact.title: fact.type for fact in facts}
    assert types["odd thing"] == "ODD"
    assert types["KASAN: use-after-free Read in foo"].startswith("KASAN-USE-AFTER-FREE")
    assert facts[0].frames == ("a.c",)


def test_reach_is_shown_with_clean_runs_only():
    reach = np.ones(300)
    reach[5], reach[6] = 0.25, np.nan
    lab = world(build_seconds=0, reach=reach, vms=1000)
    for commit in ("c5", "c6", "c7", "c200"):
        lab.build(commit)
    share = sum(fact.reached is True for fact in lab.batch("c5", 8000)) / 8000
    assert share == pytest.approx(0.25, abs=0.02)
    assert {fact.reached for fact in lab.batch("c6", 20)} == {"absent"}
    assert {fact.reached for fact in lab.batch("c7", 20)} == {True}
    assert {fact.reached for fact in lab.batch("c200", 20)} == {None}
    blind = world(build_seconds=0)
    blind.build("c7")
    assert {fact.reached for fact in blind.batch("c7", 3)} == {None}


def test_a_batch_that_has_seen_enough_ends_at_once():
    lab = world(introduced=None, build_seconds=0, time_to_crash=60, run_seconds=300, boot_seconds=30, vms=10)
    lab.build("c5")
    asked = []

    def enough(facts):
        asked.append(len(facts))
        return facts[-1].outcome == "crash"

    facts = lab.batch("c5", 30, until=enough)
    assert asked == [1]
    assert len(facts) == lab.runs == 10
    first, cut = facts[0], facts[1:]
    assert first.outcome == "crash"
    assert lab.clock == pytest.approx(30 + first.seconds)
    assert all(fact.cut and fact.outcome == "ok" and fact.seconds == pytest.approx(first.seconds) for fact in cut)
    assert lab.vm_seconds == pytest.approx(10 * lab.clock)


def test_runs_that_end_at_the_same_moment_are_not_cut():
    lab = world(introduced="c299", build_seconds=0, vms=10)
    lab.build("c5")
    facts = lab.batch("c5", 30, until=lambda facts: len(facts) == 4)
    assert len(facts) == 10
    assert not any(fact.cut for fact in facts)


def test_the_same_run_shows_the_same_whatever_else_was_done():
    other = Unrelated("WARNING in bar", 0.3)
    lab = {"crash_rate": 0.4, "unrelated": (other,), "infra_rate": 0.1}
    one, two, three = (world(seed=seed, **lab) for seed in (1, 1, 2))
    for each in (one, two, three):
        each.build("c200")
    two.build("c10")
    two.batch("c10", 7)
    first = one.batch("c200", 40)
    halves = two.batch("c200", 20) + two.batch("c200", 20)
    assert sorted(map(repr, first)) == sorted(map(repr, halves))
    assert sorted(map(repr, first)) != sorted(map(repr, three.batch("c200", 40)))


def test_a_policy_is_shown_nothing_of_the_truth():
    fields = {field.name for field in dataclasses.fields(Task)}
    assert not fields & {"introduced", "fixed", "lab", "seed", "masked"}
    shown = {name for name in vars(world()) if not name.startswith("_")}
    assert shown == {
        *("machines", "builders", "boot_seconds", "run_seconds", "built_files"),
        *("clock", "vm_seconds", "runs", "builds"),
    }
