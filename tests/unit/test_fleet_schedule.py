"""Which host does what next."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from firstbad.fleet.schedule import FAILURES, LATE, Schedule
from firstbad.fleet.tasks import Host, Task


def fleet(*hosts: Host) -> Schedule:
    schedule = Schedule()
    for host in hosts:
        schedule.join(host)
    return schedule


def host(name: str, build: int = 1, machine: int = 0, offers: str = "") -> Host:
    return Host(name, {"build": build, "machine": machine}, frozenset(offers.split()))


def build(name: str, project: str = "default", urgency: float = 1.0, needs: str = "", like: str = "") -> Task:
    return Task(name, "build", project, urgency, frozenset(needs.split()), like)


def began(schedule: Schedule, now: float = 0.0) -> dict[str, str]:
    return {one.task.id: one.host for one in schedule.assign(now)}


def test_what_somebody_waits_for_goes_before_what_may_be_asked_for():
    schedule = fleet(host("a"))
    schedule.add(build("likely", urgency=0.9))
    schedule.add(build("asked"))
    assert began(schedule) == {"asked": "a"}
    schedule.done("asked", "a", 1.0)
    assert began(schedule) == {"likely": "a"}


def test_a_task_that_is_asked_for_again_is_made_once_and_becomes_urgent():
    schedule = fleet(host("a"))
    schedule.add(build("x", urgency=0.2))
    schedule.add(build("y", urgency=0.5))
    schedule.add(build("x", "other"))
    assert began(schedule) == {"x": "a"}
    schedule.done("x", "a", 1.0)
    assert began(schedule) == {"y": "a"}
    assert schedule.waiting() == 0


def test_projects_share_evenly_whatever_they_ask_for():
    schedule = fleet(host("a"))
    for i in range(100):
        schedule.add(build(f"big{i}", "big"))
    for i in range(10):
        schedule.add(build(f"small{i}", "small"))
    order = []
    for now in range(20):
        ((task, name),) = began(schedule, now).items()
        order.append(task)
        schedule.done(task, name, now + 1.0)
    assert sum(task.startswith("small") for task in order) == 10
    assert sum(task.startswith("small") for task in order[:10]) == 5


def test_a_project_that_asked_for_nothing_has_saved_nothing_up():
    schedule = fleet(host("a"))
    for i in range(100):
        schedule.add(build(f"old{i}", "old"))
    for now in range(50):
        ((task, name),) = began(schedule, now).items()
        schedule.done(task, name, now + 1.0)
    for i in range(100):
        schedule.add(build(f"new{i}", "new"))
    order = []
    for now in range(50, 70):
        ((task, name),) = began(schedule, now).items()
        order.append(task)
        schedule.done(task, name, now + 1.0)
    assert 9 <= sum(task.startswith("new") for task in order) <= 11


def test_a_host_gets_only_what_it_can_do_and_rare_ones_are_spared():
    schedule = fleet(host("rich", offers="gcc-12 arm64"), host("poor", offers="gcc-12"))
    schedule.add(build("x", needs="gcc-12"))
    schedule.add(build("z", needs="clang-99"))
    assert began(schedule) == {"x": "poor"}
    schedule.add(build("y", needs="arm64"))
    assert began(schedule) == {"y": "rich"}
    assert schedule.waiting() == 1
    schedule.join(host("new", offers="clang-99"))
    assert began(schedule) == {"z": "new"}


def test_a_task_goes_where_one_like_it_was_made():
    schedule = fleet(host("a"), host("b"))
    schedule.add(build("x", like="tree1"))
    schedule.add(build("y", like="tree2"))
    first = began(schedule)
    schedule.done("x", first["x"], 1.0)
    schedule.done("y", first["y"], 1.0)
    schedule.add(build("z", like="tree2"))
    schedule.add(build("w", like="tree1"))
    assert began(schedule) == {"z": first["y"], "w": first["x"]}


def test_what_a_lost_host_did_is_done_by_another():
    schedule = fleet(host("a"), host("b", build=0))
    schedule.add(build("x"))
    assert began(schedule) == {"x": "a"}
    assert schedule.leave("a") == ["x"]
    assert schedule.done("x", "a", 5.0) == []
    assert schedule.waiting() == 1
    schedule.join(host("c"))
    assert began(schedule) == {"x": "c"}


def test_a_late_task_is_begun_again_elsewhere_and_who_is_first_counts():
    schedule = fleet(host("a"), host("b"))
    for i in range(4):
        schedule.add(build(f"q{i}", like="t"))
    now = 0.0
    while schedule.tasks:
        for task, name in began(schedule, now).items():
            schedule.done(task, name, now + 100.0)
        now += 100.0
    schedule.add(build("x", like="t"))
    ((_, slow),) = began(schedule, now).items()
    assert schedule.late(now + 90 * LATE) == []
    assert schedule.late(now + 101 * LATE) == ["x"]
    assert schedule.late(now + 102 * LATE) == []
    (again,) = schedule.assign(now + 102 * LATE)
    assert again.again
    assert {again.host, slow} == {"a", "b"}
    assert schedule.done("x", again.host, now + 110 * LATE) == [slow]
    assert not schedule.tasks
    assert schedule.running("x") == frozenset()


def test_a_host_that_fails_again_and_again_is_left_out():
    schedule = fleet(host("bad"))
    schedule.join(host("good", build=0))
    for i in range(FAILURES):
        schedule.add(build(f"x{i}"))
        assert began(schedule)[f"x{i}"] == "bad"
        assert schedule.failed(f"x{i}", "bad")
    assert "in a row" in schedule.members["bad"].out
    schedule.join(host("fine", build=9))
    assert set(began(schedule).values()) == {"fine"}


def test_a_task_over_which_every_host_fails_is_given_up():
    schedule = fleet(*(host(f"h{i}") for i in range(9)))
    schedule.add(build("x"))
    tried = []
    while schedule.tasks:
        ((_, name),) = began(schedule).items()
        tried.append(name)
        kept = schedule.failed("x", name)
    assert not kept
    assert len(set(tried)) == len(tried) == 5


def test_a_slow_host_is_left_out():
    schedule = fleet(host("slow"), host("a"), host("b"))
    now = 0.0
    for i in range(60):
        schedule.add(build(f"x{i}"))
        schedule.add(build(f"y{i}"))
        schedule.add(build(f"z{i}"))
        for task, name in began(schedule, now).items():
            schedule.done(task, name, now + (500.0 if name == "slow" else 100.0))
        now += 500.0
    assert [name for name, member in schedule.members.items() if member.out] == ["slow"]
    assert "times as long" in schedule.members["slow"].out


def test_what_a_host_that_was_found_out_does_is_done_again():
    schedule = fleet(host("liar", build=2))
    schedule.add(build("x"))
    schedule.add(build("y"))
    began(schedule)
    assert sorted(schedule.leave_out("liar", "its kernel was another one")) == ["x", "y"]
    schedule.join(host("c"))
    assert list(began(schedule).values()) == ["c"]


NAMES = st.sampled_from([f"h{i}" for i in range(4)])
IDS = st.sampled_from([f"t{i}" for i in range(12)])


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens in whatever order: slots are never over-committed, and nothing is forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.schedule, self.now = Schedule(), 0.0
        self.wanted: set[str] = set()

    @rule(name=NAMES, slots=st.integers(0, 3), offers=st.sampled_from(["", "k"]))
    def join(self, name, slots, offers):
        self.schedule.join(host(name, slots, offers=offers))

    @rule(name=NAMES)
    def leave(self, name):
        self.schedule.leave(name)

    @rule(name=NAMES)
    def leave_out(self, name):
        self.schedule.leave_out(name, "why not")

    @rule(
        task=IDS, urgency=st.sampled_from([0.3, 1.0]), project=st.sampled_from("pq"), needs=st.sampled_from(["", "k"])
    )
    def add(self, task, urgency, project, needs):
        if task not in self.wanted:
            self.wanted.add(task)
            self.schedule.add(build(task, project, urgency, needs, like=task[:2]))
        else:
            self.schedule.add(self.schedule.tasks[task])

    @rule(task=IDS)
    def withdraw(self, task):
        self.wanted.discard(task)
        self.schedule.withdraw(task)

    @rule(seconds=st.sampled_from([1.0, 100.0, 1000.0]))
    def assign(self, seconds):
        self.now += seconds
        self.schedule.late(self.now)
        self.schedule.assign(self.now)

    @precondition(lambda self: any(member.running for member in self.schedule.members.values()))
    @rule(data=st.data(), well=st.booleans())
    def end(self, data, well):
        pairs = sorted((task, name) for name, m in self.schedule.members.items() for task in m.running)
        task, name = data.draw(st.sampled_from(pairs))
        if well:
            self.schedule.done(task, name, self.now)
            self.wanted.discard(task)
        elif not self.schedule.failed(task, name):
            self.wanted.discard(task)

    @invariant()
    def nothing_is_forgotten(self):
        schedule = self.schedule
        assert set(schedule.tasks) == self.wanted
        for task in self.wanted:
            assert task in schedule._queued or schedule.running(task)

    @invariant()
    def slots_are_kept(self):
        for name, member in self.schedule.members.items():
            assert len(member.running) + member.free["build"] == member.host.slots["build"]
            assert member.free["build"] >= 0
            assert not (member.out and member.running)
            listed = name in self.schedule._free.get(("build", member.host.offers), {})
            assert listed == (member.free["build"] > 0 and not member.out)
        running = {(name, task) for name, m in self.schedule.members.items() for task in m.running}
        assert set(self.schedule._kinds) == running
        assert set(self.schedule._charged) <= running


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_tasks_end_when_hosts_do_their_work():
    schedule = fleet(*(host(f"h{i}") for i in range(3)))
    for i in range(50):
        schedule.add(build(f"t{i}", f"p{i % 4}", urgency=1.0 if i % 3 else 0.4))
    now, done = 0.0, 0
    while schedule.tasks:
        for task, name in began(schedule, now).items():
            schedule.done(task, name, now + 10.0)
            done += 1
        now += 10.0
    assert done == 50
    assert now == pytest.approx(17 * 10.0)
