"""Several hosts as one engine: real processes, real builds of a miniature tree, and what goes wrong among them."""

import os
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.support.fleets import Fleet, certificates
from tests.support.histories import History, miniature

from firstbad.engine import BuildRequest
from firstbad.errors import InfrastructureError, UserError
from firstbad.fleet.link import Link
from firstbad.fleet.security import security
from firstbad.history.git import Repo
from firstbad.kernel.artifacts import Artifacts
from firstbad.kernel.build import Builder, Spec
from firstbad.kernel.process import GivenUp

SPEC = Spec("CONFIG_MINE=y\n", "tinyconfig")
REVISIONS = 8


@pytest.fixture
def history(tmp_path):
    made = History(tmp_path / "repo")
    tree = miniature()
    made.commit("r0", tree)
    for i in range(1, REVISIONS):
        made.commit(f"r{i}", {"include/value.h": f"#define VALUE {10 + i}\n"})
    made.commit("broken", {"include/value.h": "#define VALUE nonsense\n"})
    sleeps = tree["Makefile"] + "\n$(O)/main.o: wait\nwait:\n\tsleep 20\n"
    made.commit("sleeps", {"include/value.h": "#define VALUE 99\n", "Makefile": sleeps})
    return made


@pytest.fixture
def fleet(tmp_path):
    made = Fleet(tmp_path / "fleet")
    yield made
    made.close()


@pytest.fixture
def ask(history):
    return lambda name, **more: BuildRequest(history.path, history.commits[name], **more)


@pytest.fixture
def truth(history, tmp_path):
    """Signatures by one honest builder of this machine."""
    builder = Builder(tmp_path / "alone", Artifacts(tmp_path / "kept", 1 << 30), tmp_path / "ccache", jobs=2)
    return lambda name: builder.build(Repo(history.path), history.commits[name], SPEC).signature


def test_builds_are_shared_out_and_arrive_whole(fleet, ask, truth):
    fleet.hub()
    for name in ("h1", "h2", "h3"):
        fleet.host(name)
    engine = fleet.engine(SPEC, 3)
    assert (engine.builders, engine.machines) == (3, 3)
    futures = {f"r{i}": engine.build(ask(f"r{i}")) for i in range(REVISIONS)}
    built = {name: future.result(120) for name, future in futures.items()}
    assert {name: one.signature for name, one in built.items()} == {name: truth(name) for name in built}
    for one in built.values():
        assert one.kernel.exists()
        assert one.directory.is_relative_to(fleet.root / "session0")
    by = [fleet.built_by(name) for name in ("h1", "h2", "h3")]
    assert set.union(*by) == {one.key for one in built.values()}
    assert sum(map(len, by)) == REVISIONS, "each was built once"
    assert "'nonsense' undeclared" in engine.build(ask("broken")).result(60).error


def test_two_sessions_share_a_build(fleet, ask):
    fleet.hub()
    fleet.host("h1")
    fleet.host("h2")
    one, other = fleet.engine(SPEC, 2), fleet.engine(SPEC, 2)
    futures = [engine.build(ask(f"r{i}")) for i in range(4) for engine in (one, other)]
    assert len({future.result(120).key for future in futures}) == 4
    assert len(fleet.built_by("h1")) + len(fleet.built_by("h2")) == 4


def test_a_killed_host_and_a_killed_hub_cost_what_was_under_way(fleet, ask, truth):
    fleet.hub()
    for name in ("h1", "h2", "h3"):
        fleet.host(name)
    engine = fleet.engine(SPEC, 3)
    futures = {f"r{i}": engine.build(ask(f"r{i}")) for i in range(REVISIONS)}
    next(iter(futures.values())).result(60)
    fleet.end("h1")
    time.sleep(0.3)
    fleet.end("hub")
    time.sleep(1)
    fleet.hub()
    assert {name: future.result(120).signature for name, future in futures.items()} == {n: truth(n) for n in futures}
    made = sorted(fleet.built_by("h1") | fleet.built_by("h2") | fleet.built_by("h3"))
    assert len(made) == REVISIONS
    again = [len(fleet.built_by("h2") & fleet.built_by("h3")), len(fleet.built_by("h1") & fleet.built_by("h2"))]
    assert sum(again) <= 3, "no more than what was under way"


@pytest.mark.parametrize("how", ["truncate", "artifact", "signature"])
def test_a_host_that_lies_is_found_out_and_left_out(fleet, ask, truth, how):
    fleet.hub()
    fleet.host("liar", liar=how)
    engine = fleet.engine(SPEC, 1)
    first = engine.build(ask("r1"))
    time.sleep(0.5)
    fleet.host("honest")
    assert first.result(120).signature == truth("r1")
    assert engine.build(ask("r2")).result(60).signature == truth("r2")
    assert "is left out" in fleet.logs()
    assert len(fleet.built_by("honest")) == 2


def test_a_host_that_fails_again_and_again_gets_no_more(fleet, ask, truth):
    fleet.hub()
    fleet.host("full", slots="build=3,machine=0", liar="fails")
    engine = fleet.engine(SPEC, 1)
    futures = [engine.build(ask(f"r{i}")) for i in range(3)]
    time.sleep(0.5)
    fleet.host("fine")
    assert [future.result(120).signature for future in futures] == [truth(f"r{i}") for i in range(3)]


def test_a_fresh_build_is_made_by_another_host_and_a_third_one_decides(fleet, ask, truth):
    fleet.hub()
    fleet.host("h1")
    engine = fleet.engine(SPEC, 1)
    first = engine.build(ask("r3")).result(60)
    fleet.host("h2")
    fleet.engine(SPEC, 2)
    again = engine.build(ask("r3", fresh="clean")).result(60)
    assert again.signature == first.signature == truth("r3")
    assert again.key == f"{first.key}-clean"
    assert fleet.built_by("h2") == {f"{first.key}-clean", first.key}


def test_what_nobody_waits_for_any_more_is_ended(fleet, ask):
    fleet.hub()
    fleet.host("h1")
    engine = fleet.engine(SPEC, 1)
    future = engine.build(ask("sleeps"))
    log = wait_for(lambda: list(fleet.root.glob("h1/builders/0/new-*/build.log")))
    wait_for(lambda: "sleep 20" in log[0].read_text())
    engine.close()
    with pytest.raises((GivenUp, InfrastructureError)):
        future.result(10)
    other = fleet.engine(SPEC, 1)
    began = time.monotonic()
    assert not other.build(ask("r1")).result(60).error
    assert time.monotonic() - began < 15, "the host did not go on with what nobody wants"


def wait_for(condition, seconds: float = 30.0):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def test_a_host_whose_network_is_silent_is_replaced(fleet, ask, truth, monkeypatch):
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL", "5s")
    fleet.hub()
    fleet.host("h1")
    engine = fleet.engine(SPEC, 1)
    future = engine.build(ask("r4"))
    os.kill(fleet.processes["h1"].pid, signal.SIGSTOP)
    try:
        fleet.host("h2")
        assert future.result(120).signature == truth("r4")
    finally:
        os.kill(fleet.processes["h1"].pid, signal.SIGCONT)


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl to make certificates")
def test_with_certificates_only_those_who_have_one_are_heard(tmp_path, ask, truth):
    fleet = Fleet(tmp_path / "fleet", certificates(tmp_path / "tls"))
    strangers = certificates(tmp_path / "strangers")
    try:
        fleet.hub()
        fleet.host("h1")
        assert fleet.engine(SPEC, 1).build(ask("r1")).result(60).signature == truth("r1")
        for trusted in (security(fleet.address, strangers), None):
            link = Link(fleet.address if trusted else fleet.address.replace("tls", "tcp"), trusted, patience=3)
            with pytest.raises(InfrastructureError, match="does not answer"):
                link.offers()
            link.close()
    finally:
        fleet.close()


def test_a_session_may_begin_before_the_first_host(fleet, ask, truth):
    fleet.hub()
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(fleet.engine, SPEC, 0)
        time.sleep(2)
        assert not pending.done()
        fleet.host("h1")
        assert pending.result(60).build(ask("r1")).result(60).signature == truth("r1")


def test_what_no_host_can_do_is_said(fleet, ask):
    fleet.hub()
    fleet.host("h1")
    engine = fleet.engine(Spec("CONFIG_MINE=y\n", "tinyconfig", arch="riscv64", toolchain="gcc-8"), 1, hope=1)
    with pytest.raises(UserError, match="no host of the fleet has a compiler"):
        engine.build(ask("r1")).result(60)


def test_builds_ahead_are_made_and_given_up(fleet, ask):
    fleet.hub()
    fleet.host("h1")
    engine = fleet.engine(SPEC, 1)
    engine.ahead([(ask("r1"), 0.6), (ask("sleeps"), 0.4)])
    wait_for(lambda: len(fleet.built_by("h1")) == 1)
    wait_for(lambda: list(fleet.root.glob("h1/builders/0/new-*/build.log")))
    engine.ahead([])
    began = time.monotonic()
    built = engine.build(ask("r2")).result(60)
    assert not built.error
    assert time.monotonic() - began < 15
    assert len(fleet.built_by("h1")) == 2
