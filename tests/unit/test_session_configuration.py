"""Which configuration a session chooses: real history and Kconfig files, played kernels. tests/acceptance has a peer's
scenarios; benchmarks/minimize.py does it with real kernels."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.support.histories import History
from tests.support.lab import OOPS, WARNING, done

from firstbad.errors import UserError
from firstbad.home import Home
from firstbad.job import make_job
from firstbad.kernel.artifacts import Built
from firstbad.kernel.dotconfig import read_config, switched_on
from firstbad.report import read_log, write
from firstbad.session import Bisection, bisection_log, fold
from firstbad.session.configuration import holds, runs_wanted, verdict
from firstbad.session.tally import Tally
from firstbad.store import Store
from firstbad.vm import MachineRun

OPTIONS = [f"OPT{number}" for number in range(60)]
FULL = "".join(f"CONFIG_{name}=y\n" for name in ("BASE", "SYS", *OPTIONS, "KASAN", "LOCKDEP"))


def kconfig() -> str:
    plain = "".join(f'config OPT{number}\n\tbool "{number}"\n\tdepends on SYS\n' for number in range(60))
    more = "".join(f'config {name}\n\tbool "{name}"\n' for name in ("BASE", "SYS", "KASAN", "LOCKDEP"))
    return f'mainmenu "x"\n{more}menu "things"\n{plain}endmenu\n'


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    made = History(tmp_path_factory.mktemp("history") / "repo")
    made.commit(
        "c0", {"Kconfig": kconfig(), "Makefile": "obj-y += lib/\n", "lib/Makefile": "obj-$(CONFIG_OPT9) += a.o\n"}
    )
    for number in range(1, 12):
        made.commit(f"c{number}")
    made.tag("v6.0", "c0")
    return made


@dataclass
class ConfigLab:
    """``crashes`` says of the options that are on with which chance a run crashes."""

    history: History
    directory: Path
    crashes: object
    machines: int = 2
    builders: int = 1
    acceleration: object = None
    kernels: dict = field(default_factory=dict)
    runs: list = field(default_factory=list)
    oops: str = OOPS.replace("FUNC", "bug")
    stranger: object = lambda on: False

    def build(self, request):
        text = request.config or self.own
        signature = hashlib.sha256(f"{request.commit}{text}".encode()).hexdigest()
        key = signature[:16]
        place = self.directory / key
        place.mkdir(exist_ok=True)
        (place / "config").write_text(text)
        self.kernels[place / "bzImage"] = (request.commit, switched_on(read_config(text)))
        return done(Built(key, place, signature, "gcc (GCC) 12.2.0", 60.0))

    def run(self, request):
        commit, on = self.kernels[request.kernel]
        self.runs.append(on)
        draw = int.from_bytes(hashlib.sha256(f"lab {request.console.name}".encode()).digest()[:4], "big") / 2**32
        if self.stranger(on):
            return done(MachineRun("panic", True, WARNING.encode(), None, 1, 0.5, ""))
        bad = list(self.history.commits.values()).index(commit) >= 7
        if bad and draw < self.crashes(on):
            return done(MachineRun("panic", True, self.oops.encode(), None, 1, 0.5, ""))
        return done(MachineRun("finished", True, b"[ 0.0] Linux\n", 0, 1, 1, ""))

    def close(self):
        pass


class Quiet:
    def event(self, event, state):
        pass

    def activity(self, text):
        pass


def bisect(history, tmp_path, crashes, baseline="CONFIG_BASE=y\n", **build):
    for name, text in (("config", FULL), ("repro.c", "int main(void) { return 0; }\n"), ("baseline", baseline or "")):
        (tmp_path / name).write_text(text)
    fields = {name: str(tmp_path / name) for name in ("config", "baseline") if name == "config" or baseline is not None}
    job = make_job({"repo": str(history.path), "repro": str(tmp_path / "repro.c"), **fields, "build": build})
    home = Home(tmp_path / "home", 1 << 30)
    store = Store(home.database)
    number = store.submit(job)
    lab = ConfigLab(history, tmp_path / "kernels", crashes)
    lab.directory.mkdir()
    lab.own = FULL
    session = Bisection(store, number, home, Quiet(), lambda home, job: lab)
    session.artifacts.get = lambda key: next(
        (Built(key, path.parent, key, "", 1) for path in lab.kernels if path.parent.name == key), None
    )
    return session, store, number, lab


def chosen(store, number):
    return next(event.data for event in store.events(number) if event.kind == "config")


def test_what_the_crash_does_not_need_goes(history, tmp_path):
    needed = {"OPT17", "OPT40"}
    session, store, number, lab = bisect(history, tmp_path, lambda on: float(needed <= on), minimize_steps=20)
    finished = session.run()
    assert finished["commits"] == [history.commits["c7"]]
    config = chosen(store, number)
    assert config["what"] == "minimized"
    assert switched_on(read_config(config["text"])) == {"BASE", "SYS", "OPT17", "OPT40"}
    assert (config["added"], config["left"]) == (63, 3)
    tries = [event.data for event in store.events(number) if event.kind == "trial"]
    assert [trial["what"] for trial in tries[:2]] == ["baseline", "minimized"]
    assert len(tries) <= 1 + session.job.build.minimize_steps
    assert lab.runs[-1] == {"BASE", "SYS", "OPT17", "OPT40"}, "the rest of the bisection uses it"
    assert (session.home.job(number) / "config").read_text() == config["text"]


def test_the_log_tells(history, tmp_path):
    session, store, number, _ = bisect(history, tmp_path, lambda on: float("OPT17" in on))
    session.run()
    log = bisection_log(session.job, store.events(number))
    assert write(read_log(log)) == log
    assert "# firstbad: configuration: baseline: 0 of 2 runs crashed, the crash does not stay" in log
    assert "# firstbad: configuration: a minimized configuration is used" in log
    assert "2 of 63 options beyond the baseline are left (3%)" in log
    start = f"testing commit {history.commits['c11']}"
    assert log.count(start) == 2, "with the job's own configuration and with the chosen one"
    state = fold(store.events(number))
    assert state.runs() == sum(event.kind in ("run", "trial-run") for event in store.events(number))
    assert state.test_seconds() > 0
    assert state.build_seconds() == 60.0 * sum(
        event.kind.endswith("build") or event.kind == "verify" for event in store.events(number)
    )


def test_a_baseline_that_crashes_is_used(history, tmp_path):
    session, store, number, lab = bisect(history, tmp_path, lambda on: 1.0)
    assert session.run()["commits"] == [history.commits["c7"]]
    assert chosen(store, number)["what"] == "baseline"
    assert lab.runs[-1] == {"BASE"}


def test_a_crash_that_needs_all_of_it_keeps_it(history, tmp_path):
    session, store, number, lab = bisect(history, tmp_path, lambda on: float(len(on) == 64))
    assert session.run()["commits"] == [history.commits["c7"]]
    config = chosen(store, number)
    assert (config["what"], config["text"], config["left"]) == ("original", "", config["added"])
    assert len(lab.runs[-1]) == 64


def test_a_crash_that_comes_seldom(history, tmp_path):
    """As often as with the whole configuration, or in a third of the runs: a lower rate is not good enough."""
    session, store, number, _ = bisect(history, tmp_path, lambda on: 0.6 * ("OPT17" in on) if "OPT40" in on else 0.05)
    assert session.run()["commits"] == [history.commits["c7"]]
    assert {"OPT17", "OPT40"} <= switched_on(read_config(chosen(store, number)["text"]))


def test_no_more_steps_than_allowed(history, tmp_path):
    session, store, number, _ = bisect(history, tmp_path, lambda on: float({"OPT17", "OPT40"} <= on), minimize_steps=3)
    assert session.run()["commits"] == [history.commits["c7"]]
    tries = [event.data["what"] for event in store.events(number) if event.kind == "trial"]
    assert tries == ["baseline", "minimized", "minimized", "minimized"]


def test_no_more_time_than_allowed(history, tmp_path):
    """A build of 60 s and then some runs: the limit is looked at before each try."""
    session, store, number, _ = bisect(
        history, tmp_path, lambda on: float({"OPT17", "OPT40"} <= on), minimize_hours=100 / 3600
    )
    assert session.run()["commits"] == [history.commits["c7"]]
    assert sum(event.kind == "trial" for event in store.events(number)) == 2


def test_instrumentation_that_is_not_needed_goes(history, tmp_path):
    """A NULL dereference needs neither KASAN nor lockdep; without a baseline nothing else is tried."""
    session, store, number, lab = bisect(history, tmp_path, lambda on: 1.0, baseline=None, sanitizers="needed")
    assert session.run()["commits"] == [history.commits["c7"]]
    assert chosen(store, number)["what"] == "instrumentation"
    assert lab.runs[-1] == {"BASE", "SYS", *OPTIONS}


def test_instrumentation_stays_where_the_crash_needs_it(history, tmp_path):
    session, store, number, lab = bisect(
        history, tmp_path, lambda on: float("KASAN" in on), baseline=None, sanitizers="needed"
    )
    assert session.run()["commits"] == [history.commits["c7"]]
    assert chosen(store, number)["what"] == "original"
    assert len(lab.runs[-1]) == 64


def test_another_crash_is_not_the_bug(history, tmp_path):
    """A smaller configuration in which something else crashes does not hold it."""
    session, store, number, lab = bisect(history, tmp_path, lambda on: float("OPT17" in on))
    lab.stranger = lambda on: 1 < len(on) < 8
    assert session.run()["commits"] == [history.commits["c7"]]
    config = chosen(store, number)
    assert config["what"] == "minimized"
    assert len(switched_on(read_config(config["text"]))) >= 8


def test_kconfig_that_can_not_be_read_is_said(tmp_path):
    made = History(tmp_path / "repo")
    made.commit("c0", {"Kconfig": "config A\n\tdepends on (\n"})
    for number in range(1, 12):
        made.commit(f"c{number}")
    made.tag("v6.0", "c0")
    session, *_ = bisect(made, tmp_path, lambda on: float("OPT17" in on))
    with pytest.raises(UserError, match=r"can.t be minimized at .*Kconfig:2"):
        session.run()


@pytest.mark.parametrize(
    ("crashes", "clean", "lost", "found"),
    [(4, 0, 0, "bad"), (3, 2, 0, "bad"), (2, 2, 0, "good"), (1, 0, 0, "good"), (1, 9, 0, "good"), (3, 9, 0, "good"),
     (0, 2, 0, "good"), (3, 2, 6, "good"), (0, 0, 3, "skip")],
)  # fmt: skip
def test_verdicts(crashes, clean, lost, found):
    always = Tally(crashes=4)
    assert verdict(Tally(crashes=crashes, clean=clean, lost=lost), always) == found


def test_as_often_as_before_is_good_enough():
    seldom = Tally(crashes=6, clean=54)
    assert holds(Tally(crashes=3, clean=27), seldom)
    assert not holds(Tally(crashes=3, clean=57), seldom)
    assert not holds(Tally(crashes=3, clean=18), Tally(crashes=4))
    # The rarer the crash, the more clean runs are needed to believe that it is gone.
    assert runs_wanted(Tally(), Tally(crashes=4)) == 2
    assert 20 < runs_wanted(Tally(), seldom) <= 40
    assert runs_wanted(Tally(clean=2), Tally(crashes=4)) == 0
    assert runs_wanted(Tally(crashes=1, clean=1), Tally(crashes=4)) == 2
    assert runs_wanted(Tally(boot=2), Tally(crashes=4)) == 0
