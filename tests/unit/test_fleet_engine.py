"""What a session's engine asks of a fleet ahead, and what it makes of bad answers; tests/integration has real hosts."""

from concurrent.futures import Future
from pathlib import Path

import pytest
from tests.support.histories import History

from firstbad.engine import BuildRequest
from firstbad.errors import InfrastructureError, UserError
from firstbad.fleet.engine import FleetEngine
from firstbad.fleet.host import compiler
from firstbad.fleet.link import failed
from firstbad.fleet.orders import Answer
from firstbad.home import Home
from firstbad.kernel import toolchain
from firstbad.kernel.build import Spec
from firstbad.kernel.process import GivenUp
from firstbad.repro import Reproducer


class Line:
    """A link without a hub: answers are given by hand."""

    address = "tcp://hub"

    def __init__(self, name: str, late: int = 0) -> None:
        """``late``: looks at which no host is there yet."""
        self.name, self.asked, self.late = name, [], late
        self.open: dict[str, Future] = {}

    def offers(self):
        if self.late:
            self.late -= 1
            return {"offers": [], "slots": {"machine": 0, "build": 0}, "hosts": 0}
        return {"offers": [compiler("x86_64", self.name, "gcc 12")], "slots": {"machine": 1, "build": 2}, "hosts": 1}

    def ahead(self, orders):
        before, self.open = self.open, {}
        for order, task in orders:
            known = before.pop(order.id, None)
            if known is None or failed(known):
                known = Future()
                self.asked.append((order.commit, task["urgency"]))
            self.open[order.id] = known
        for future in before.values():
            future.cancel()
        return [self.open[order.id] for order, _ in orders]

    def close(self):
        pass


@pytest.fixture
def history(tmp_path):
    made = History(tmp_path / "repo")
    for name in ("a", "b", "c"):
        made.commit(name)
    return made


NAME = toolchain.candidates(None, "")[0]["name"]


@pytest.fixture
def make(tmp_path):
    made = []

    def engine(line, **words):
        nothing = Reproducer(Path("x"), "c", "0" * 64, (), ("/bin/true",))
        made.append(FleetEngine(Home(tmp_path / "home", 1 << 30), Spec("", "none"), nothing, line, None, **words))
        return made[-1]

    yield engine
    for one in made:
        one.close()


@pytest.fixture
def engine(make):
    return make(Line(NAME), hope=0)


def asked(history, *named):
    return [(BuildRequest(history.path, history.commits[name]), chance) for name, chance in named]


def test_what_is_named_again_goes_on_and_what_is_not_is_given_up(history, engine):
    first, second = engine.ahead(asked(history, ("a", 1.0), ("b", 0.5)))
    again, third = engine.ahead(asked(history, ("a", 1.0), ("c", 0.5)))
    assert again is first
    assert engine.link.asked == [
        (history.commits[name], chance) for name, chance in (("a", 1.0), ("b", 0.5), ("c", 0.5))
    ]
    with pytest.raises(GivenUp):
        second.result(10)
    assert not third.done()
    engine.ahead([])
    for future in (first, third):
        with pytest.raises(GivenUp):
            future.result(10)


def test_what_hosts_failed_over_is_asked_for_again_when_it_is_named_again(history, engine):
    (first,) = engine.ahead(asked(history, ("a", 0.5)))
    next(iter(engine.link.open.values())).set_result(Answer("fault", why="the disk is full"))
    with pytest.raises(InfrastructureError, match="the disk is full"):
        first.result(10)
    (again,) = engine.ahead(asked(history, ("a", 1.0)))
    assert not again.done()
    assert [urgency for _, urgency in engine.link.asked] == [0.5, 1.0]
    engine.ahead([])


def test_the_first_host_may_join_after_the_session(history, make):
    engine = make(Line(NAME, late=2))
    assert (engine.builders, engine.machines) == (2, 1)
    with pytest.raises(InfrastructureError, match="no host has joined the fleet at tcp://hub: start one with"):
        make(Line(NAME, late=1), hope=0)


def test_the_host_with_the_compiler_may_join_after_another_one(history, make):
    engine = make(Line(NAME))
    engine._offers, engine.link.late = frozenset(), 1
    engine.ahead(asked(history, ("a", 0.5)))
    assert engine.link.asked == [(history.commits["a"], 0.5)]
    engine.ahead([])


def test_what_no_host_can_build_concerns_only_who_needs_it(history, engine):
    engine._offers = frozenset()
    (future,) = engine.ahead(asked(history, ("a", 0.5)))
    with pytest.raises(UserError, match="no host of the fleet has a compiler"):
        future.result(10)
    assert engine.link.asked == []
