"""Whole bisections by the product's own decisions, in the simulated lab."""

import dataclasses

import numpy as np
import pytest

from firstbad.inference.shapes import linear, linux_shaped
from firstbad.simulation import Evidence, EvidenceRun, Lab, Scenario, SimHistory, Task, Unrelated, World
from firstbad.simulation.product import bisect

BUILD = 400.0


def history(dag, every: int = 0, files=None) -> SimHistory:
    """Commits c0, c1, ...; ``every``: so many commits from release to release, the first one at c0."""
    tags = {f"v1.{i // every}": f"c{i}" for i in range(0, dag.n, every)} if every else {}
    return SimHistory([f"c{i}" for i in range(dag.n)], dag, tags, files)


def scenario(past: SimHistory, truth: int | None, kind="cause", seed=1, target=0.99, **lab) -> Scenario:
    """``c0`` is known to be good unless the history has releases; a fix bisection starts there."""
    last = past.names[-1]
    task = Task("t", past, "c0" if kind == "fix" else last, last, kind, target=target)
    if kind == "cause" and not past.tags:
        task = dataclasses.replace(task, good=("c0",))
    made = Scenario(task, lab=Lab(build_seconds=BUILD, **lab), seed=seed)
    name = None if truth is None else f"c{truth}"
    return dataclasses.replace(made, introduced=name) if kind == "cause" else dataclasses.replace(made, fixed=name)


def play(made: Scenario, **kwargs):
    return bisect(made, World(made), **kwargs)


def only(n: int, indices) -> np.ndarray:
    flags = np.zeros(n, dtype=bool)
    flags[list(indices)] = True
    return flags


LINE = history(linear(150))
SHORT = history(linear(64))
SHAPED = history(linux_shaped(200, 2, release=80))
RELEASES = history(linear(100), every=20)


@pytest.mark.parametrize("kind", ["cause", "fix"])
@pytest.mark.parametrize("truth", [3, 77, 147])
def test_line(kind, truth):
    result = play(scenario(LINE, truth, kind))
    assert (result.status, result.commits) == ("found", (f"c{truth}",))
    assert result.confidence == result.probabilities[0] >= 0.99
    assert result.revisions_tested <= 12
    assert result.wall_seconds >= result.builds * BUILD
    assert result.vm_seconds <= 10 * (result.wall_seconds - result.builds * BUILD) + 1e-3


@pytest.mark.parametrize("kind", ["cause", "fix"])
def test_merges(kind):
    for truth in np.random.default_rng(5).integers(1, SHAPED.dag.n, 4).tolist():
        result = play(scenario(SHAPED, truth, kind, seed=truth + 2))
        assert result.commits == (f"c{truth}",)
        assert result.is_merge == (len(SHAPED.dag.parents[truth]) > 1)


def test_seeded():
    made = scenario(SHAPED, 50, crash_rate=0.3, false_rate=0.01, unrelated=(Unrelated("WARNING in x", 0.05),))
    assert play(made) == play(made)


@pytest.mark.parametrize("truth", [5, 37, 60, 62, 99])
def test_without_a_good_end_releases_come_first(truth):
    made = scenario(RELEASES, truth)
    result = play(made)
    assert result.commits == (f"c{truth}",)
    assert result.is_release == (truth in range(0, 100, 20))


@pytest.mark.parametrize(
    ("kind", "status", "boundary"), [("cause", "older_than_oldest", "c0"), ("fix", "not_fixed", "c99")]
)
def test_none_of_the_candidates(kind, status, boundary):
    result = play(scenario(RELEASES, None, kind))
    assert (result.status, result.boundary, result.commits) == (status, boundary, ())
    assert result.confidence > 0.95


def test_truth_within_a_broken_stretch_gives_the_stretch():
    result = play(scenario(LINE, 95, broken_build=only(150, range(90, 100))))
    assert result.status == "candidates"
    assert sorted(result.commits, key=LINE.index.get) == [f"c{i}" for i in range(90, 101)]
    assert result.confidence >= 0.99


@pytest.mark.parametrize("broken", ["broken_build", "broken_boot"])
def test_truth_beside_a_broken_stretch_is_found(broken):
    past = history(linear(500))
    result = play(scenario(past, 300, **{broken: only(500, range(200, 280))}))
    assert result.commits == ("c300",)
    assert result.builds <= 25


def test_another_bug_in_every_run_is_no_verdict():
    result = play(scenario(SHORT, 7, unrelated=(Unrelated("WARNING in x", 1.0, where=only(64, range(40))),)))
    assert result.commits == ("c7",)


def test_a_masked_revision_is_survived():
    results = [play(scenario(SHORT, 20, seed=seed, masked=only(64, [32, 40]))) for seed in range(3)]
    assert all("c20" in result.commits for result in results)


def test_strangers_and_failing_machines_cost_time_and_not_truth():
    other = Unrelated("WARNING in x", 0.2)
    for seed in range(3):
        result = play(scenario(SHORT, 20, seed=seed, crash_rate=0.4, unrelated=(other,), infra_rate=0.2))
        assert result.commits == ("c20",)


def test_start_and_confirmation_are_clocked_apart():
    result = play(scenario(SHORT, 20, crash_rate=0.2))
    assert 0 < BUILD < result.start_seconds
    assert 0 < result.search_seconds <= result.wall_seconds - result.start_seconds + 1e-3


@pytest.mark.parametrize(
    ("lab", "status"),
    [
        ({"crash_rate": 0.0}, "not_reproduced"),
        ({"broken_build": only(64, [63])}, "untestable"),
        ({"broken_boot": only(64, [63])}, "untestable"),
        ({"infra_rate": 1.0}, "infra_failure"),
    ],
)
def test_what_ends_without_an_answer(lab, status):
    result = play(scenario(SHORT, 20, **lab))
    assert (result.status, result.commits) == (status, ())


def test_a_budget_ends_with_what_is_known():
    made = scenario(SHORT, 20)
    whole = play(made)
    short = dataclasses.replace(made, task=dataclasses.replace(made.task, budget_seconds=whole.wall_seconds / 2))
    result = play(short)
    assert result.status == "budget"
    assert result.wall_seconds <= whole.wall_seconds
    assert len(result.commits) > 1
    assert "c20" in result.commits
    never = scenario(SHORT, 20, crash_rate=0.0)
    early = play(dataclasses.replace(never, task=dataclasses.replace(never.task, budget_seconds=1.0)))
    assert (early.status, early.commits) == ("budget", ())


def test_evidence_given_beforehand_is_used():
    made = scenario(LINE, 77)
    seen = tuple(EvidenceRun("crash", "crash occurs") for _ in range(5)), tuple(EvidenceRun("ok") for _ in range(5))
    evidence = Evidence("c80", seen[0]), Evidence("c74", seen[1])
    result = play(dataclasses.replace(made, task=dataclasses.replace(made.task, evidence=evidence)))
    assert result.commits == ("c77",)
    assert result.builds <= play(made).builds - 3


def test_evidence_of_another_crash_is_not_taken_for_the_bug():
    made = scenario(LINE, 77)
    other = Evidence("c40", tuple(EvidenceRun("crash", "WARNING in x") for _ in range(5)))
    result = play(dataclasses.replace(made, task=dataclasses.replace(made.task, evidence=(other,))))
    assert result.commits == ("c77",)


def test_a_culprit_that_changes_no_binary_is_told():
    groups = np.full(64, -1)
    groups[[19, 20]] = 0
    crashes = only(64, range(20, 64))
    made = scenario(SHORT, 20, binaries=groups)
    made = dataclasses.replace(made, lab=dataclasses.replace(made.lab, rates=np.where(crashes, 1.0, 0.0)))
    result = play(made)
    assert result.commits[0] == "c20"
    assert result.noop


def test_equal_kernels_are_not_run_twice():
    groups = np.full(64, -1)
    groups[25:60] = 0
    result = play(scenario(SHORT, 20, binaries=groups))
    assert (result.commits, result.noop) == (("c20",), False)
    assert result.runs < play(scenario(SHORT, 20)).runs + 4


def test_hints_speed_up_and_do_not_decide():
    stack = ("fs/a.c",)
    files = [frozenset({"fs/a.c" if i in (20, 50) else "doc/x"}) for i in range(64)]
    past = history(linear(64), files=files)
    hinted = play(scenario(past, 20, frames=stack))
    blind = play(scenario(past, 20, frames=stack), priors=False)
    misled = play(scenario(past, 33, frames=stack))
    assert hinted.commits == blind.commits == ("c20",)
    assert hinted.builds < blind.builds
    assert misled.commits == ("c33",)


def test_a_fix_on_another_branch_is_looked_for_beyond_the_merge_base():
    # 0..29 main line; a stable branch 30..39 leaves at 9; the fix is at 20.
    rows = [[i - 1] if i else [] for i in range(30)] + [[9], *([i] for i in range(30, 39))]
    past = SimHistory([f"c{i}" for i in range(40)], rows)
    task = Task("t", past, "c39", "c29", "fix", cross_tree=True)
    made = Scenario(task, fixed="c20", lab=Lab(build_seconds=BUILD))
    assert play(made).commits == ("c20",)
    later = dataclasses.replace(made, introduced="c32", fixed=None)
    result = play(later)
    assert (result.status, result.boundary, result.commits) == ("not_fixed", "c9", ())
