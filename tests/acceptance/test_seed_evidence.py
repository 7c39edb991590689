"""The second example log, whose answer is wrong because of one unrelated failure: its observations as evidence."""

from pathlib import Path

import pytest

from firstbad.report import read_log
from firstbad.simulation import Evidence, EvidenceRun, Scenario, SimHistory, Task, World
from firstbad.simulation.product import bisect

SEEDS = Path(__file__).parents[3] / "shared" / "seeds"
COMMITS = 8_527  # twice what the log says is left after the first step


@pytest.fixture
def log():
    files = sorted(SEEDS.glob("004_*.txt"))
    if not files:
        pytest.skip("no example logs in shared/ beside the checkout")
    return read_log(files[0].read_text(encoding="latin-1"))


def runs_of(tested):
    """The runs of a revision: ten, where the log says "all runs" without a number."""
    outcomes = tested.outcomes * 10 if tested.uniform else tested.outcomes
    for words in outcomes:
        kind, _, title = words.partition(": ")
        outcome = {"OK": "ok", "crashed": "crash"}.get(kind, "infra")
        yield EvidenceRun(outcome, title if outcome == "crash" else "")


def test_no_belief_in_what_an_unrelated_failure_blames(log):
    """On a line of as many commits, git's own steps by the log's verdicts lead to the commit that the log blames."""
    history = SimHistory([f"c{i}" for i in range(COMMITS)], [[i - 1] if i else [] for i in range(COMMITS)])
    low, high = 0, COMMITS - 1
    evidence = []
    for tested in log.tests[:-1]:
        place = {"initial": high, "release": 0}.get(tested.phase, (low + high) // 2)
        if tested.phase == "bisect":
            low, high = (low, place) if tested.mark == "bad" else (place, high)
        evidence.append(Evidence(f"c{place}", tuple(runs_of(tested))))
    assert any(run.title.startswith("SYZFAIL") for one in evidence for run in one.runs)
    task = Task("seed", history, "c8526", "c8526", good=("c0",), evidence=tuple(evidence), budget_seconds=0)
    scenario = Scenario(task, introduced="c4000")
    found = bisect(scenario, World(scenario))
    assert found.status == "budget"
    assert dict(zip(found.commits, found.probabilities, strict=True)).get(f"c{high}", 0) <= 0.1
    assert max(found.probabilities) <= 0.1
