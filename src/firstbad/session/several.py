"""Several revisions at once, for whoever has several builders: a kernel's session and a simulated one.

The step that is proposed goes first. Builders that it leaves idle build what the next steps will probably want;
machines that it leaves idle run, of what those steps will probably want, the revisions whose builds are there. After
each build that arrives and each test that has ended the next step is proposed anew. An answer cancels builds that it
made pointless, but no run: those that were slow would be missing, and they are the clean ones.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal, Protocol

from firstbad.session.steps import Step

WORTH = 0.1  # chance that a revision's runs are wanted, below which no machine is given to them
MORE = 2  # steps that are looked at for machines alone, once all builders are busy
Said = Literal["something", "nothing", "enough"]
"""What a run comes to for its test: it counts; it has to be made again; no further one is needed."""
Likely = Iterable[tuple[Step, float]]


class Lab(Protocol):
    """Who does what is planned, and records it."""

    builders: int

    def idle_machines(self) -> int:
        """Machines with nothing to do."""

    def built(self, commit: str) -> bool:
        """Whether a revision can be tested now, or is known not to build."""

    def learned(self) -> int:
        """A number that changes whenever something was learned."""

    def want(self, builds: Sequence[tuple[str, float]]) -> None:
        """Have these built, the first ones first, each with the chance that it is needed; give up all others."""

    def open(self, step: Step) -> int:
        """A test of a revision that is built begins. How many runs it needs; none: it has ended."""

    def begin(self, step: Step) -> None:
        """One run of an open test on an idle machine."""

    def wait(self) -> list[tuple[str, Said]]:
        """Wait until a run or a build ends; of the runs, what they come to. Nothing where nothing is under way."""

    def close(self, step: Step) -> None:
        """An open test has ended."""


@dataclass
class Test:
    """A test that is open."""

    step: Step
    left: int = 0
    """Runs that are yet to begin."""
    pending: int = 0
    """Runs under way."""


@dataclass
class Plan:
    """What goes on at the same time."""

    builds: list[tuple[str, float]] = field(default_factory=list)
    """Revisions to have under way, and the chance that each is needed."""
    steps: list[Step] = field(default_factory=list)
    """What machines are for, the first ones first."""


def plan(
    step: Step, others: Likely, builders: int, room: int, built: Callable[[str], bool], pending: Mapping[str, int]
) -> Plan:
    """Share out builders and ``room`` idle machines among ``step`` and the ``others`` that are likely to follow it,
    the more probable first. ``pending``: runs that are under way, by revision."""
    made, more = Plan(), MORE
    for one, chance in chain([(step, 1.0)], others):
        if built(one.commit):
            if one is step or one.commit in pending or (room > 0 and chance >= WORTH):
                made.steps.append(one)
                room -= max(0, one.runs - pending.get(one.commit, 0))
        elif len(made.builds) < builders:
            made.builds.append((one.commit, chance))
        if len(made.builds) >= builders:
            more -= 1
            if room <= 0 or chance < WORTH or more < 0:
                break
    return made


@dataclass
class _Thought:
    """What is likely to follow a step, as far as anybody asked."""

    step: Step
    learned: int
    more: Iterator[tuple[Step, float]]
    known: list[tuple[Step, float]] = field(default_factory=list)

    def steps(self) -> Likely:
        """All of it."""
        yield from self.known
        for one in self.more:
            self.known.append(one)
            yield one


class Several:
    """Goes on with several tests at once."""

    def __init__(self, lab: Lab, ahead: Callable[[Step], Likely]) -> None:
        """``ahead``: which steps are likely after one, each with its chance, the more probable first."""
        self.lab, self.ahead = lab, ahead
        self.open: dict[str, Test] = {}
        self._thought: _Thought | None = None

    def advance(self, step: Step) -> None:
        """Go on with ``step``, and with what is likely to follow, until something was learned."""
        planned = self._plan(step)
        self.lab.want(planned.builds)
        for test in self.open.values():
            test.left = 0
        for one in planned.steps:
            if one.commit in self.open:
                test = self.open[one.commit]
                test.step, test.left = one, max(0, one.runs - test.pending)
        while not self._ended() and self._go_on(planned.steps):
            pass

    def prepare(self, step: Step) -> None:
        """Have built what will probably follow ``step``, which goes on by itself on a builder of its own."""
        self.lab.want(self._plan(step).builds)

    def drain(self) -> bool:
        """Begin nothing more and wait for the runs that are under way; whether there were any."""
        self.lab.want([])
        were = bool(self.open)
        while self.open:
            for test in self.open.values():
                test.left = 0
            if not self._ended():
                self._go_on(())
        return were

    def _plan(self, step: Step) -> Plan:
        pending = {commit: test.pending for commit, test in self.open.items() if test.pending}
        others = self._others(step)
        return plan(step, others, self.lab.builders, self.lab.idle_machines(), self.lab.built, pending)

    def _others(self, step: Step) -> Likely:
        """What is likely to follow, thought through once where nothing was learned meanwhile."""
        learned = self.lab.learned()
        if self._thought is None or (self._thought.step.commit, self._thought.learned) != (step.commit, learned):
            self._thought = _Thought(step, learned, iter(self.ahead(step)))
        return self._thought.steps()

    def _go_on(self, steps: Sequence[Step]) -> bool:
        """Begin what there are machines for, and take in what ends next; False where a build ended, or a test has got
        what it wanted."""
        if not self._begin(steps):
            return False
        ended, wanted = self.lab.wait(), {one.commit for one in steps}
        for commit, said in ended:
            test = self.open[commit]
            test.pending -= 1
            if said == "enough":
                test.left = 0
            elif said == "nothing" and commit in wanted:
                test.left += 1
        return bool(ended) and all(said != "enough" for _, said in ended)

    def _begin(self, steps: Sequence[Step]) -> bool:
        """Begin runs on idle machines; False where a test ended without any."""
        for one in steps:
            if one.commit not in self.open and self.lab.idle_machines() > 0:
                runs = self.lab.open(one)
                if not runs:
                    return False
                self.open[one.commit] = Test(one, runs)
            while one.commit in self.open and self.open[one.commit].left > 0 and self.lab.idle_machines() > 0:
                self.open[one.commit].left -= 1
                self.open[one.commit].pending += 1
                self.lab.begin(one)
        return True

    def _ended(self) -> bool:
        """Close the tests with nothing left; whether there were any."""
        over = [commit for commit, test in self.open.items() if not test.left and not test.pending]
        for commit in over:
            self.lab.close(self.open.pop(commit).step)
        return bool(over)
