"""What must hold on any graph, for any truth and any lab: whole sessions step by step, and single observations."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from test_inference_belief import contains, evidences, graphs, laws, likelihood

from firstbad.errors import BisectionError
from firstbad.inference import Belief, Dag, Model
from firstbad.session.decide import Decider
from firstbad.session.state import apply, fold
from firstbad.session.steps import Finish, Step
from firstbad.simulation import Lab, Scenario, SimHistory, Task, Unrelated, World
from firstbad.simulation.product import _Session
from firstbad.store import Event

MOST = 400  # steps; none of these small histories takes as many
# A session that does not end takes its time, and its history is small as it is: no shrinking.
SESSIONS = settings(deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])


@dataclass
class Played:
    """One session from its begin to its end."""

    scenario: Scenario
    events: list[Event] = field(default_factory=list)
    steps: list[tuple[int, Step | Finish]] = field(default_factory=list)
    """What was proposed, and after how many events."""

    def decider(self) -> Decider:
        """One that knows nothing of this session."""
        return _Session(self.scenario.task, World(self.scenario), True).decider


class _Kept(_Session):
    """Keeps its events."""

    def __init__(self, scenario, events):
        self.events = events
        super().__init__(scenario.task, World(scenario), True)

    def _record(self, kind, data):
        self.number += 1
        self.events.append(Event(self.number, self.world.clock, kind, data))
        apply(self.state, self.events[-1])


def play(scenario: Scenario) -> Played:
    """All steps of a session. One that ends without an answer ends with the step before."""
    played = Played(scenario)
    session = _Kept(scenario, played.events)
    for _ in range(MOST):
        try:
            step = session.decider.propose(session.state)
            played.steps.append((len(played.events), step))
            if isinstance(step, Finish):
                return played
            session._evaluate(step)
        except BisectionError:
            return played
    raise AssertionError(f"no answer after {MOST} steps")


@st.composite
def scenarios(draw):
    """Any graph with any culprit, fix, or none of the candidates; a lab that is flaky, noisy and broken in parts."""
    rows = draw(graphs(most=14))
    n, matrix = len(rows), contains(rows)
    kind = draw(st.sampled_from(["cause", "fix"]))
    tip = n - 1
    below = [i for i in range(n) if matrix[tip, i] and i != tip]
    assume(below)
    end = draw(st.sampled_from(below))  # known to be good (cause), or the start (fix)
    inside = [i for i in range(n) if matrix[tip, i] and not matrix[end, i]]
    truth = draw(st.sampled_from(inside if kind == "cause" else [*inside, None]))
    files = [frozenset({draw(st.sampled_from(["fs/a.c", "doc/x"]))}) for _ in range(n)]
    past = SimHistory([f"c{i}" for i in range(n)], rows, files=files)
    start, good = (f"c{tip}", (f"c{end}",)) if kind == "cause" else (f"c{end}", ())
    task = Task("t", past, start, f"c{tip}", kind, good=good, target=draw(st.sampled_from([0.8, 0.99])))
    broken = np.zeros(n, dtype=bool)
    broken[draw(st.lists(st.integers(0, n - 1), max_size=3))] = True
    broken[[end, tip]] = False
    lab = Lab(
        crash_rate=draw(st.sampled_from([1.0, 0.5, 0.2])),
        unrelated=(Unrelated("WARNING in x", draw(st.sampled_from([0.0, 0.2]))),),
        infra_rate=draw(st.sampled_from([0.0, 0.1])),
        broken_build=broken,
        frames=("fs/a.c",),
        vms=draw(st.sampled_from([1, 4])),
        build_seconds=100.0,
    )
    name = None if truth is None else f"c{truth}"
    made = Scenario(task, lab=lab, seed=draw(st.integers(0, 1000)))
    made = replace(made, introduced=name) if kind == "cause" else replace(made, fixed=name)
    groups = np.array(draw(st.lists(st.integers(-1, 3), min_size=n, max_size=n)))
    # One kernel has the bug or has it not.
    return replace(made, lab=replace(lab, binaries=np.where(groups < 0, -1, 2 * groups + made.present())))


def span(scenario: Scenario) -> tuple[set[str], set[str]]:
    """By definition: commits that may be the answer, and those that may be tested."""
    task, names = scenario.task, scenario.history.names
    matrix = contains(scenario.history.dag.parents)
    index = scenario.history.index
    ends = [index[name] for name in (task.good if task.kind == "cause" else (task.start,))]
    tip = matrix[index[task.head]]
    within = tip & ~matrix[ends].any(axis=0)
    # What is tested beside the candidates: the known end, and where branches left what it contains.
    return {names[i] for i in np.flatnonzero(within)}, {names[i] for i in np.flatnonzero(tip)}


@settings(SESSIONS, max_examples=30)
@given(scenarios())
def test_never_out_of_the_range_and_never_more_or_less_than_certain(scenario):
    played = play(scenario)
    answers, testable = span(scenario)
    decider = played.decider()
    for seen, step in played.steps:
        state = fold(played.events[:seen])
        if isinstance(step, Finish):
            assert set(step.commits) <= answers
            assert len(step.commits) == len(step.probabilities)
            assert sum(step.probabilities) <= 1 + 1e-9
            assert 0 <= step.confidence <= 1
            assert (len(step.commits) == 1) or step.status != "found"
        else:
            assert step.commit in testable
            assert step.runs >= 1
            assert step.commit not in state.untestable()
        if decider.start_is_known(state):
            view = decider.view(state)
            assert view.belief.posterior.sum() + view.belief.older == pytest.approx(1.0)
            outside = [name not in answers for name in view.range.hashes]
            assert (view.belief.posterior[outside] == 0).all()


def test_proof_that_can_not_be_had_is_not_asked_for_without_end():
    """The fix came by a branch that never had the bug: its runs are clean, and prove neither of the two commits."""
    past = SimHistory([f"c{i}" for i in range(5)], [[], [0], [0], [1, 2], [3]])
    for target in (0.5, 0.6, 0.7, 0.8, 0.9, 0.99):
        task = Task("t", past, "c1", "c4", "fix", target=target)
        _, last = play(Scenario(task, introduced="c1", fixed="c2", lab=Lab(vms=1))).steps[-1]
        assert isinstance(last, Finish)


@settings(SESSIONS, max_examples=20)
@given(scenarios())
def test_a_session_that_is_resumed_goes_on_as_if_it_had_not_been_ended(scenario):
    played = play(scenario)
    for seen, step in played.steps:
        resumed = played.decider()
        assert resumed.propose(fold(played.events[:seen])) == step


@settings(SESSIONS, max_examples=20)
@given(scenarios(), st.randoms())
def test_the_order_of_events_does_not_matter(scenario, random):
    played = play(scenario)
    seen, step = played.steps[-1]
    tests: list[list[Event]] = []
    for event in played.events[:seen]:
        if event.kind == "test":
            tests.append([])
        tests[-1].append(event)
    first = [part for part in tests if part[0].data["phase"] == "initial"]
    rest = [part for part in tests if part[0].data["phase"] != "initial"]
    # A build is recorded with the first test of its revision, wherever that comes.
    shuffled = [event for part in first + random.sample(rest, len(rest)) for event in part]
    one, other = fold(played.events[:seen]), fold(shuffled)
    ours, theirs = played.decider(), played.decider()
    if not ours.start_is_known(one):
        return
    assert theirs.view(other).belief.posterior == pytest.approx(ours.view(one).belief.posterior, abs=1e-12)
    proposed = theirs.propose(other)
    if isinstance(step, Finish):
        assert isinstance(proposed, Finish)
        assert (proposed.status, proposed.commits) == (step.status, step.commits)
        assert proposed.probabilities == pytest.approx(step.probabilities, abs=1e-12)
    else:
        assert (proposed.commit, proposed.runs) == (step.commit, step.runs)


@settings(deadline=None)
@given(graphs(most=8), st.sampled_from([0.2, 0.6, 0.97]), st.sampled_from(["cause", "fix"]), st.data())
def test_one_more_observation_moves_the_odds_of_two_commits_by_its_likelihood_ratio(rows, rate, kind, data):
    """With one law of the crash rate. ``added`` may repeat what was seen, in part or as a whole."""
    n, matrix = len(rows), contains(rows)
    model = Model(rates=(rate,), rate_weights=(1,), spread_weight=0.0, false_rate=0.01, mask=0.03)
    start = n - 1 if kind == "cause" else 0
    held = matrix[start]
    assume((held if kind == "cause" else ~held).any())
    belief = Belief(Dag(rows), kind=kind, candidates=np.ones(n, dtype=bool), start=start, model=model)
    seen = data.draw(st.lists(st.tuples(st.integers(0, n - 1), evidences()), min_size=1, max_size=3))
    for revision, evidence in seen:
        belief.record(revision, belief.evidence(revision).plus(evidence))
    revision, added = data.draw(st.sampled_from([*seen, (data.draw(st.integers(0, n - 1)), data.draw(evidences()))]))
    before, known = belief.posterior.copy(), belief.evidence(revision)
    belief.record(revision, known.plus(added))
    after, now = belief.posterior, belief.evidence(revision)
    (law,), doubt = laws(model), belief.doubt[revision]
    change = {
        there: likelihood(model, doubt, now, there, law) / likelihood(model, doubt, known, there, law)
        if known.counts
        else likelihood(model, doubt, now, there, law)
        for there in (True, False)
    }
    if not now.counts:
        change = dict.fromkeys(change, 1.0)
    candidates = np.flatnonzero(belief.candidates)
    for one in candidates:
        for other in candidates:
            there = [bool(matrix[revision, h]) ^ (kind == "fix") for h in (one, other)]
            ratio = change[there[0]] / change[there[1]]
            assert after[one] * before[other] == pytest.approx(after[other] * before[one] * ratio, rel=1e-6, abs=1e-15)
