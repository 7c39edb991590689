"""What is built before it is asked for."""

import copy
import dataclasses
from itertools import islice

import pytest
from tests.unit.test_simulation_product import SHAPED, play, scenario

from firstbad.session.outcome import Run, to_event
from firstbad.session.state import apply
from firstbad.session.steps import Step
from firstbad.simulation import World
from firstbad.simulation.product import _Session
from firstbad.store import Event


def with_builders(made, builders: int):
    return dataclasses.replace(made, lab=dataclasses.replace(made.lab, builders=builders))


@pytest.fixture
def session():
    """A search that has just begun: its start commit is known."""
    made = scenario(SHAPED, 90)
    one = _Session(made.task, World(made), priors=True)
    while (step := one.decider.propose(one.state)).phase != "search":
        one._evaluate(step)
    return one


def after(session, step: Step, outcome: str) -> str:
    """What is asked next if the runs of ``step`` end so."""
    state = copy.deepcopy(session.state)
    data = {"commit": step.commit, "phase": step.phase, "title": "", **step.data}
    build = {"commit": step.commit, "key": "k", "signature": "s", "compiler": "", "seconds": 400.0, "error": ""}
    run = to_event(Run(outcome, "crash occurs" * (outcome == "crash"))) | {"commit": step.commit, "cut": False}
    facts = [("test", data), ("build", build | {"cached": False})]
    runs = 1 if outcome == "crash" else step.runs
    facts += [("run", run | {"run_seconds": 300.0, "boot_seconds": 30.0, "wall": 330.0, "ended": "finished"})] * runs
    for number, (kind, facts_of) in enumerate(facts, 1000):
        apply(state, Event(number, 0.0, kind, facts_of))
    return session.decider.propose(state).commit


def test_the_next_step_of_each_outcome_comes_before_what_follows_those(session):
    step = session.decider.propose(session.state)
    found = list(islice(session.decider.ahead(session.state, step), 6))
    ahead, chances = [one.commit for one, _ in found], [chance for _, chance in found]
    assert len(set(ahead)) == 6
    assert chances == sorted(chances, reverse=True)
    assert chances[0] + chances[1] == pytest.approx(1)
    assert step.commit not in ahead
    assert {after(session, step, "crash"), after(session, step, "ok")} == set(ahead[:2])


def test_thinking_ahead_changes_nothing(session):
    step = session.decider.propose(session.state)
    first = list(islice(session.decider.ahead(session.state, step), 3))
    assert session.decider.propose(session.state) == step
    assert list(islice(session.decider.ahead(session.state, step), 3)) == first


def test_more_builders_find_the_same_culprit_sooner():
    made = scenario(SHAPED, 90)
    results = [play(with_builders(made, builders)) for builders in (1, 2, 4)]
    assert {result.commits for result in results} == {("c90",)}
    walls = [result.wall_seconds for result in results]
    assert walls == sorted(walls, reverse=True)
    assert walls[2] < 0.75 * walls[0]
    assert results[0].builds < results[2].builds
