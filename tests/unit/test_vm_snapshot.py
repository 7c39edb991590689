"""Snapshots: who shares one, what their runs are worth (QEMU's part is tested in tests/integration)."""

import json
import socket
import threading
from pathlib import Path

import pytest
from tests.support.lab import Lab
from tests.unit.test_session import bisect, contains, history, job_for, place  # noqa: F401 - fixtures

from firstbad.errors import InfrastructureError
from firstbad.inference import Evidence, Exposure
from firstbad.session.outcome import Run
from firstbad.session.tally import SNAPSHOT_CORRELATION, Tally
from firstbad.vm import MachineRun, Pool, Snapshot
from firstbad.vm.monitor import Monitor

FULL = Exposure([], 30.0)


def tally(*runs: Run) -> Tally:
    made = Tally()
    for run in runs:
        made.add(run)
    return made


def share(runs: int) -> float:
    return 1 / (1 + (runs - 1) * SNAPSHOT_CORRELATION)


def test_runs_of_one_snapshot_are_worth_less():
    alone = tally(*[Run("ok")] * 6)
    together = tally(*[Run("ok", group="a")] * 6)
    assert (together.clean, together.useful) == (alone.clean, alone.useful) == (6, 6)
    assert alone.evidence(FULL).exposure == 6
    assert together.evidence(FULL).exposure == pytest.approx(6 * share(6))
    assert 1 < together.evidence(FULL).exposure < 3
    two = tally(*[Run("ok", group="a")] * 3, *[Run("ok", group="b")] * 3)
    assert two.evidence(FULL).exposure == pytest.approx(6 * share(3))


def test_one_run_of_a_snapshot_is_a_run():
    runs = [Run("ok", group="a"), Run("ok", group="b"), Run("crash", "x", group="c"), Run("ok", seconds=4.0, cut=True)]
    alone = [Run("ok"), Run("ok"), Run("crash", "x"), Run("ok", seconds=4.0, cut=True)]
    one, other = tally(*runs).evidence(FULL), tally(*alone).evidence(FULL)
    assert (one.crashes, one.exposure) == (other.crashes, pytest.approx(other.exposure))


def test_crashes_of_one_snapshot_repeat_each_other():
    seen = tally(*[Run("crash", "x", group="a")] * 5, Run("ok", group="a"), Run("crash", "x")).evidence(FULL)
    assert seen.crashes == 1 + round(5 * share(6))
    assert seen.exposure == pytest.approx(share(6))
    assert tally(Run("crash", "x", group="a"), *[Run("ok", group="a")] * 30).evidence(FULL).crashes == 1


def test_runs_that_were_ended_early():
    cut = Run("ok", seconds=4.0, cut=True)
    alone = tally(cut, cut, cut).evidence(FULL)
    together = tally(cut, Run("ok", seconds=4.0, cut=True, group="a"), Run("ok", seconds=4.0, cut=True, group="a"))
    assert together.evidence(FULL).exposure == pytest.approx(alone.exposure / 3 * (1 + 2 * share(2)))
    assert together.evidence(FULL).clean_runs == 3


def test_lost_runs_and_runs_that_went_astray_have_no_share():
    seen = tally(Run("ok", group="a"), Run("other", "y", group="a"), Run("ok", group="a", reached=True)).evidence(FULL)
    assert (seen.exposure, seen.lost) == (pytest.approx(2 * share(2)), 1)
    assert tally(Run("ok", group="a", reached=False)).evidence(FULL) == Evidence(lost=1)


def taken(path: Path) -> Snapshot:
    path.write_bytes(b"state")
    return Snapshot(path, path.name)


def test_a_snapshot_serves_so_many_runs_and_is_removed(tmp_path):
    pool, names = Pool(tmp_path / "pool"), []
    for _ in range(5):
        with pool.lent("kernel", 2, taken) as got:
            assert got.path.exists()
            names.append(got.name)
    assert names[0] == names[1] != names[2] == names[3] != names[4]
    assert [path.name for path in (tmp_path / "pool").iterdir()] == [names[4]], "one with a run left stays"
    with pool.lent("another kernel", 2, taken) as got:
        assert got.name not in names
    pool.clear()
    assert not list((tmp_path / "pool").iterdir())


def test_a_snapshot_in_use_is_not_removed(tmp_path):
    pool = Pool(tmp_path)
    with pool.lent("k", 2, taken) as first:
        with pool.lent("k", 2, taken) as second:
            assert first is second
        assert first.path.exists()
    assert not first.path.exists()


def test_threads_share(tmp_path):
    pool, names, lock = Pool(tmp_path), [], threading.Lock()

    def use():
        for _ in range(20):
            with pool.lent("k", 4, taken) as got:
                assert got.path.exists()
                with lock:
                    names.append(got.name)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names) == 80
    assert all(names.count(name) <= 4 for name in names)


def test_a_machine_that_does_not_come_up_is_no_snapshot(tmp_path):
    ended = MachineRun("boot-failed", False, b"", None, 1, 0, "no")
    with Pool(tmp_path).lent("k", 4, lambda path: ended) as got:
        assert got is ended
    with pytest.raises(ZeroDivisionError), Pool(tmp_path).lent("k", 4, lambda path: 1 / 0):
        pass
    assert not list(tmp_path.iterdir())


def test_the_monitor():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        done = {"return": {"status": "completed"}}
        answers = ({"QMP": {}}, {"return": {}}, {"event": "STOP"}, done, {"error": {"desc": "no"}})
        theirs.sendall(b"".join(json.dumps(answer).encode() + b"\r\n" for answer in answers))
        monitor = Monitor(ours)
        assert monitor.execute("query-migrate") == {"status": "completed"}
        with pytest.raises(InfrastructureError, match="refuses stop: no"):
            monitor.execute("stop")
        theirs.close()
        with pytest.raises(InfrastructureError, match="does not answer"):
            monitor.execute("stop")


class Shares(Lab):
    """So many runs of a revision as the job allows come from one snapshot, where one was allowed at all."""

    def run(self, request):
        done = super().run(request)
        if request.machine.snapshot > 1:
            name, _, index = request.console.stem.rpartition("-")
            group = f"{name}-{int(index) // request.machine.snapshot}"
            seen = MachineRun(**{**vars(done.result()), "group": group})
            done = type(done)()
            done.set_result(seen)
        return done


def test_the_search_shares_boots_and_its_ends_do_not(history, place, tmp_path):  # noqa: F811
    lab = Shares(tmp_path, contains(history, "c33"), crash_rate=0.6)
    job = job_for(history, machine={"snapshot": 4}, good=[history.commits["c22"]])
    finished, store, number = bisect(place, job, lab)
    assert finished["commits"] == [history.commits["c33"]]
    phase, groups = "", {}
    for event in store.events(number):
        if event.kind == "test":
            phase = event.data["phase"]
        elif event.kind == "run":
            groups.setdefault(phase, set()).add("group" in event.data)
    assert groups["initial"] == groups["confirm"] == {False}
    assert groups["search"] == {True}
