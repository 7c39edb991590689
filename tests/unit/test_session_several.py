"""Several revisions at once: who is given what, and a session whose runs and builds take their time."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from tests.support.lab import Lab
from tests.unit.test_session import bisect, contains, history, job_for, place  # noqa: F401 - fixtures

from firstbad.errors import InfrastructureError
from firstbad.report import read_log, write
from firstbad.session import bisection_log
from firstbad.session.several import MORE, Several, plan
from firstbad.session.state import fold
from firstbad.session.steps import Step
from firstbad.store import Store
from firstbad.vm import MachineRun


def step(commit: str, runs: int = 4) -> Step:
    return Step("search", commit, runs)


def shared(others, builders=2, room=10, built="", pending=None):
    made = plan(step("main"), others, builders, room, lambda commit: commit in built.split(), pending or {})
    return [commit for commit, _ in made.builds], [one.commit for one in made.steps]


def test_the_step_goes_first_and_builders_get_what_is_likely():
    others = [(step("a"), 0.6), (step("b"), 0.4), (step("c"), 0.3)]
    assert shared(others) == (["main", "a"], [])
    assert shared(others, builders=3) == (["main", "a", "b"], [])
    assert shared(others, built="main") == (["a", "b"], ["main"])


def test_machines_left_over_go_to_what_is_built_and_likely():
    others = [(step("a"), 0.6), (step("b"), 0.4), (step("c"), 0.05)]
    assert shared(others, built="main a b c") == ([], ["main", "a", "b"])
    assert shared(others, built="main a b c", room=8) == ([], ["main", "a"])
    assert shared(others, built="main a b c", room=4) == ([], ["main"])
    assert shared(others, built="a b") == (["main", "c"], ["a", "b"])


def test_a_test_that_is_under_way_goes_on_and_its_runs_count():
    others = [(step("a"), 0.6), (step("b"), 0.4)]
    assert shared(others, built="main a b", room=0, pending={"a": 4}) == ([], ["main", "a"])
    assert shared(others, built="main a b", room=4, pending={"main": 3, "a": 3}) == ([], ["main", "a", "b"])


def test_not_all_that_may_come_is_thought_through():
    seen = []

    def others() -> Iterator[tuple[Step, float]]:
        for number in range(40):
            seen.append(number)
            yield step(f"o{number}"), 0.5

    shared(others(), builders=2)
    assert len(seen) <= 2 + MORE


@dataclass
class Toy:
    """Builds all at once, and ends runs in the order that ``ends`` says."""

    builders: int = 2
    machines: int = 3
    ends: list[tuple[str, str]] = field(default_factory=list)
    here: set[str] = field(default_factory=set)
    running: list[str] = field(default_factory=list)
    log: list[tuple[str, str]] = field(default_factory=list)
    broken: str = ""

    def idle_machines(self):
        return self.machines - len(self.running)

    def built(self, commit):
        return commit in self.here

    def learned(self):
        return len(self.log)

    def want(self, builds):
        self.wanted = [commit for commit, _ in builds]

    def open(self, one):
        self.log.append(("open", one.commit))
        return 0 if one.commit == self.broken else one.runs

    def begin(self, one):
        assert self.idle_machines() > 0
        self.running.append(one.commit)

    def wait(self):
        if not self.running:
            self.here |= set(self.wanted)
            return []
        commit, said = self.ends.pop(0)
        self.running.remove(commit)
        self.log.append((said, commit))
        return [(commit, said)]

    def close(self, one):
        self.log.append(("close", one.commit))


def test_an_answer_ends_no_run_and_is_waited_for():
    toy = Toy(here={"m", "a"}, ends=[("m", "enough"), ("a", "something"), ("a", "something")])
    several = Several(toy, lambda _: [(step("a", 2), 0.5)])
    several.advance(step("m", 1))
    assert toy.log == [("open", "m"), ("open", "a"), ("enough", "m")]
    assert toy.running == ["a", "a"]
    assert several.drain()
    assert toy.log[3:] == [("close", "m"), ("something", "a"), ("something", "a"), ("close", "a")]
    assert not several.drain()


def test_what_says_nothing_is_run_again():
    toy = Toy(here={"m"}, machines=1, ends=[("m", "nothing"), ("m", "something"), ("m", "something")])
    several = Several(toy, lambda _: [])
    several.advance(step("m", 2))
    assert toy.log == [("open", "m"), ("nothing", "m"), ("something", "m"), ("something", "m"), ("close", "m")]


def test_a_test_without_runs_ends_at_once_and_all_is_asked_anew():
    toy = Toy(here={"m", "a"}, broken="m", ends=[("a", "something")])
    several = Several(toy, lambda _: [(step("a", 1), 0.5)])
    several.advance(step("m"))
    assert (toy.log, several.open) == ([("open", "m")], {})


def test_a_test_without_a_machine_does_not_begin():
    toy = Toy(here={"m", "a"}, machines=1, ends=[("m", "enough"), ("a", "something")])
    several = Several(toy, lambda _: [(step("a", 1), 0.5)])
    several.advance(step("m", 1))
    assert toy.log == [("open", "m"), ("enough", "m")]
    several.advance(step("a", 1))
    assert toy.log[2:] == [("close", "m")]
    several.advance(step("a", 1))
    assert toy.log[3:] == [("open", "a"), ("something", "a"), ("close", "a")]


def test_the_same_is_not_thought_through_twice():
    thought = []

    def ahead(one):
        thought.append(one.commit)
        yield step("a"), 0.5

    toy = Toy(builders=3)
    several = Several(toy, ahead)
    for _ in range(2):
        toy.here.clear()
        several.advance(step("m"))
    assert (toy.wanted, thought) == (["m", "a"], ["m"])
    toy.here.clear()
    several.advance(step("b"))
    assert thought == ["m", "b"]


def test_an_arrived_build_has_all_asked_anew():
    toy = Toy(here=set())
    several = Several(toy, lambda _: [(step("a"), 0.5)])
    several.advance(step("m"))
    assert (toy.wanted, toy.log) == (["m", "a"], [])
    assert toy.here == {"m", "a"}


# A session over a real history; runs and builds are played, and take some milliseconds.


class Timed(Lab):
    """Crashes come soon, clean runs take longer, builds longest."""

    def __init__(self, *args, builders=3, machines=8, **more):
        super().__init__(*args, builders=builders, machines=machines, **more)
        self.threads = ThreadPoolExecutor(machines)
        self.makers = ThreadPoolExecutor(builders)
        self.made: dict[str, Future] = {}
        self.most = Counter[str]()
        self.running = Counter[str]()

    def ahead(self, requests):
        self.named.append([(request.commit, chance) for request, chance in requests])
        for request, _ in requests:
            if request.commit not in self.made:
                self.made[request.commit] = self.makers.submit(self._make, request)
        return [self.made[request.commit] for request, _ in requests]

    def _make(self, request):
        time.sleep(0.02)
        return super().build(request).result()

    def run(self, request):
        played = super().run(request).result()
        commit = request.console.name[:12]
        self.running[commit] += 1
        self.most["revisions"] = max(self.most["revisions"], len(+self.running))
        self.most["machines"] = max(self.most["machines"], self.running.total())
        return self.threads.submit(self._take, played, commit)

    def _take(self, played: MachineRun, commit: str):
        time.sleep(0.004 if played.ended == "panic" else 0.012)
        self.running[commit] -= 1
        return played


def check_story(lab, store, number):
    """Every run that was begun is recorded, every test has ended, the log is whole."""
    events = store.events(number)
    state = fold(events)
    searched = [test for test in state.tests if test.data["phase"] != "initial"]
    assert all(test.mark is not None for test in searched)
    of_tests = [name for name in lab.runs if not re.search("-(revert|fix|probe)", name)]
    assert len([event for event in events if event.kind == "run"]) == len(of_tests) == len(set(of_tests))
    assert len(set(lab.builds)) == len(lab.builds), "no revision is built twice"
    told = [event.data["commit"] for event in events if event.kind == "build"]
    assert len(told) == len(set(told))
    log = bisection_log(store.job(number).job, events)
    assert write(read_log(log)) == log
    assert all(test.commit in log for test in searched)


def interleaved(events) -> int:
    """Runs that were recorded while another test, begun later, was open."""
    begun, count = [], 0
    for event in events:
        if event.kind == "test":
            begun.append(event.data["commit"])
        elif event.kind == "run" and begun and event.data["commit"] != begun[-1]:
            count += 1
    return count


@pytest.mark.parametrize(("culprit", "rate"), [("c33", 1.0), ("s3", 0.7)])
def test_revisions_are_tested_at_the_same_time(history, place, tmp_path, culprit, rate):  # noqa: F811
    lab = Timed(tmp_path, contains(history, culprit), crash_rate=rate)
    finished, store, number = bisect(place, job_for(history), lab)
    assert finished["commits"] == [history.commits[culprit]]
    check_story(lab, store, number)
    assert lab.most["revisions"] > 1
    assert lab.most["machines"] <= lab.machines
    assert interleaved(store.events(number)) > 0


def test_a_fix_with_several_builders(history, place, tmp_path):  # noqa: F811
    gone = contains(history, "c44")
    lab = Timed(tmp_path, lambda commit: not gone(commit))
    job = job_for(history, kind="fix", commit=history.commits["t3"])
    finished, store, number = bisect(place, job, lab)
    assert finished["commits"] == [history.commits["c44"]]
    check_story(lab, store, number)


def test_what_does_not_build_or_boot_and_equal_kernels(history, place, tmp_path):  # noqa: F811
    broken = frozenset(history.commits[f"c{i}"] for i in (20, 21, 22, 23))
    unbootable = frozenset(history.commits[f"c{i}"] for i in (26, 27))
    same = {history.commits[f"c{i}"]: "a" * 64 for i in range(30, 38)}
    lab = Timed(tmp_path, contains(history, "c25"), broken=broken, unbootable=unbootable, signatures=same)
    finished, store, number = bisect(place, job_for(history), lab)
    assert finished["commits"] == [history.commits["c25"]]
    check_story(lab, store, number)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("rate", [1.0, 0.5])
def test_a_kill_in_the_middle_repeats_nothing_that_was_recorded(history, place, tmp_path, rate):  # noqa: F811
    """Runs that were under way are lost; the tests that they were of go on, or end."""
    store = Store(place.database)
    number = store.submit(job_for(history))
    dying = 3
    while dying:
        lab = Timed(tmp_path, contains(history, "c33"), crash_rate=rate)
        known = {event.data["commit"] for event in store.events(number) if event.kind == "build"}
        before, left = len(store.events(number)), [9 + 5 * dying]

        def maybe_die(left: list[int] = left) -> None:
            left[0] -= 1
            if not left[0]:
                raise Killed

        lab.before_run = maybe_die
        lab.builds.extend(known)  # kept from before
        try:
            finished, _, _ = bisect(place, store.job(number).job, lab, number)
            break
        except Killed:
            dying -= 1
            assert store.events(number)[: before - 1]
    else:
        lab = Timed(tmp_path, contains(history, "c33"), crash_rate=rate)
        lab.builds.extend({event.data["commit"] for event in store.events(number) if event.kind == "build"})
        finished, _, _ = bisect(place, store.job(number).job, lab, number)
    assert finished["commits"] == [history.commits["c33"]]
    state = fold(store.events(number))
    assert all(test.mark is not None for test in state.tests if test.runs and state.is_open(test.commit))
    told = [event.data["commit"] for event in store.events(number) if event.kind == "build"]
    assert len(told) == len(set(told)), "no build is recorded twice"
    log = bisection_log(store.job(number).job, store.events(number))
    assert write(read_log(log)) == log


def test_one_builder_may_finish_what_several_began(history, place, tmp_path):  # noqa: F811
    store = Store(place.database)
    number = store.submit(job_for(history))
    lab, left = Timed(tmp_path, contains(history, "c33"), crash_rate=0.5), [25]

    def maybe_die() -> None:
        left[0] -= 1
        if not left[0]:
            raise Killed

    lab.before_run = maybe_die
    with pytest.raises(Killed):
        bisect(place, store.job(number).job, lab, number)
    alone = Lab(tmp_path, contains(history, "c33"), crash_rate=0.5)
    alone.builds.extend(event.data["commit"] for event in store.events(number) if event.kind == "build")
    finished, _, _ = bisect(place, store.job(number).job, alone, number)
    assert finished["commits"] == [history.commits["c33"]]
    state = fold(store.events(number))
    assert not [test for test in state.tests if test.runs and test.mark is None and state.is_open(test.commit)]


def test_a_build_that_is_needed_and_fails_ends_the_session(history, place, tmp_path):  # noqa: F811
    class Poor(Timed):
        def _make(self, request):
            if len(self.builds) >= 3:
                raise InfrastructureError("no space left")
            return super()._make(request)

    lab = Poor(tmp_path, contains(history, "c33"))
    with pytest.raises(InfrastructureError, match="no space left"):
        bisect(place, job_for(history), lab)


def test_a_build_that_may_be_needed_and_fails_is_asked_for_again(history, place, tmp_path):  # noqa: F811
    class Shaky(Timed):
        def ahead(self, requests):
            for request, chance in requests:
                if chance < 1.0 and request.commit not in self.failed:
                    self.failed.add(request.commit)
                    self.made[request.commit] = self.makers.submit(self._fail)
                elif request.commit in self.failed and self.made[request.commit].done():
                    self.made.pop(request.commit) if self.made[request.commit].exception() else None
            return super().ahead(requests)

        def _fail(self):
            time.sleep(0.005)
            raise InfrastructureError("the host is gone")

    Shaky.failed = set()
    lab = Shaky(tmp_path, contains(history, "c33"))
    finished, _, _ = bisect(place, job_for(history), lab)
    assert finished["commits"] == [history.commits["c33"]]
    assert lab.failed
