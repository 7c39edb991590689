"""A peer's scenarios that vary the configuration, through our own loop: real git history, played kernels."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.support.histories import History
from tests.support.lab import OOPS, done
from tests.support.peer import table

from firstbad.errors import UserError
from firstbad.history.git import Repo
from firstbad.home import Home
from firstbad.job import make_job
from firstbad.kernel.artifacts import Built
from firstbad.kernel.minimize import Candidate
from firstbad.session import Bisection
from firstbad.session.question import history_of
from firstbad.store import Store
from firstbad.vm import MachineRun

CRASHES_WITH = ("original config", "baseline-repro", "new-minimized-config")


def pytest_generate_tests(metafunc):
    if "row" in metafunc.fixturenames:
        try:
            found = [row for row in table()["scenarios"] if row["baseline_config"]]
        except pytest.skip.Exception:
            found = []
        metafunc.parametrize("row", found, ids=[row["name"] for row in found])


def test_all_rows_are_there():
    assert sum(bool(row["baseline_config"]) for row in table()["scenarios"]) == 7


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """The peer's topology; the start commit of all seven rows is on its main branch."""
    made = History(tmp_path_factory.mktemp("peer") / "repo")
    commits = table()["topology"]["commits"]
    for commit in commits:
        made.commit(commit["title"], parents=commit["parents"])
        for tag in commit["tags"]:
            made.tag(tag, commit["title"])
    return made


@dataclass
class ConfigLab:
    """The peer's environment model (README_bisect.md) as an engine."""

    history: History
    row: dict
    directory: Path
    machines: int = 2
    builders: int = 1
    acceleration: object = None
    kernels: dict = field(default_factory=dict)
    tested: list = field(default_factory=list)
    known: dict = field(default_factory=dict)

    def build(self, request):
        title = next(title for title, commit in self.history.commits.items() if commit == request.commit)
        config = request.config.strip() or "original config"
        name, same = title, self.row["same_binary"]
        if same and title.isdecimal() and same[0] <= int(title) <= same[1]:
            name = "same"
        signature = hashlib.sha256(f"{name}-{config}".encode()).hexdigest()
        place = self.directory / f"{title}-{config.replace(' ', '-')}"
        place.mkdir(exist_ok=True)
        (place / "config").write_text(config)
        self.kernels[place / "bzImage"] = (title, config)
        error = "a.c:1: error: nonsense" if config == "baseline-fails" else ""
        return done(Built(signature[:32], place, signature, "gcc (GCC) 12.2.0", 1.0, error))

    def run(self, request):
        title, config = self.kernels[request.kernel]
        self.tested.append((title, config))
        if config == "baseline-skip":
            return done(MachineRun("boot-failed", False, b"[ 0.0] nothing\n", None, 1, 0, "no sign of life"))
        if config in CRASHES_WITH and self.has_bug(title):
            return done(MachineRun("panic", True, OOPS.replace("FUNC", "bug").encode(), None, 1, 0.5, ""))
        return done(MachineRun("finished", True, b"[ 0.0] Linux\n", 0, 1, 1, ""))

    def has_bug(self, title):
        introduced = self.row["introduced"]
        if introduced is None:
            return True
        if title not in self.known:
            commits = self.history.commits
            self.known[title] = Repo(self.history.path).is_ancestor(commits[introduced], commits[title])
        return self.known[title]

    def close(self):
        pass


class PeerMinimizer:
    """The peer's stand-in: it goes by the baseline's name."""

    def __call__(self, full, base, holds, max_steps):
        if base == "minimize-fails":
            raise UserError("config minimization failed: minimization failure")
        if base == "minimize-succeeds":
            holds(Candidate((), "new-minimized-config"))
            return Candidate((), "new-minimized-config")
        return Candidate((), full)


class Quiet:
    def event(self, event, state):
        pass

    def activity(self, text):
        pass


def prepared(history, row, tmp_path):
    for name, text in (
        ("config", "original config"),
        ("baseline", row["baseline_config"]),
        ("r.c", "int main(void){}"),
    ):
        (tmp_path / name).write_text(text)
    places = {"config": tmp_path / "config", "baseline": tmp_path / "baseline", "repro": tmp_path / "r.c"}
    start = history.commits[row["start_commit"]]
    job = make_job({"repo": history.path, "kind": row["kind"], "commit": start, "priors": False, **places})
    home = Home(tmp_path / "home", 1 << 30)
    store = Store(home.database)
    return home, store, store.submit(job)


def bisect(history, row, tmp_path):
    home, store, number = prepared(history, row, tmp_path)
    lab = ConfigLab(history, row, tmp_path)
    session = Bisection(store, number, home, Quiet(), lambda home, job: lab, PeerMinimizer())
    return session, store.events, number, lab


def test_answers(row, history, tmp_path):
    session, events, number, lab = bisect(history, row, tmp_path)
    expected = row["expect"]
    if expected["error"]:
        with pytest.raises(UserError):
            session.run()
        return
    finished = session.run()
    assert finished["status"] == "found"
    assert finished["title"] == expected["commit_title"]
    assert finished["noop"] == expected["noop_change"]
    assert bool(history_of(session.job).tag(finished["commits"][0])) == expected["is_release"]
    assert bool(session.state.crash) == expected["report_present"]
    chosen = [event.data for event in events(number) if event.kind == "config"]
    assert len(chosen) == 1
    assert (chosen[0]["text"] or "original config") == expected["resulting_config"]
    others = {config for title, config in lab.tested if title != row["start_commit"]}
    assert others == {expected["resulting_config"]}, "one configuration for the whole bisection"


class Chosen(Exception):
    pass


class UntilChosen(Quiet):
    def event(self, event, state):
        if event.kind == "config":
            raise Chosen


@pytest.mark.parametrize("name", ["cause-finds-cause-minimize-succeeds", "cause-finds-cause-baseline-skip"])
def test_nothing_is_repeated_after_a_crash_of_ours(name, history, tmp_path):
    """Killed at any event, a session goes on to the same choice with the same tries and no more of them."""
    row = next(row for row in table()["scenarios"] if row["name"] == name)
    session, events, number, _ = bisect(history, row, tmp_path)
    session.run()
    whole = [(event.kind, json.dumps(event.data, sort_keys=True)) for event in events(number)]
    configured = next(i for i, (kind, _) in enumerate(whole) if kind == "config")
    kinds = [kind for kind, _ in whole[: configured + 1]]
    for cut in range(1, configured + 1):
        again = tmp_path / f"cut{cut}"
        again.mkdir()
        home, store, number = prepared(history, row, again)
        for kind, data in whole[:cut]:
            store.append(number, kind, json.loads(data))
        lab = ConfigLab(history, row, again)
        resumed = Bisection(store, number, home, UntilChosen(), lambda home, job, lab=lab: lab, PeerMinimizer())
        with pytest.raises(Chosen):
            resumed.run()
        found = [event.kind for event in store.events(number)]
        assert set(found) | {"mark"} == set(kinds), cut
        for kind in ("trial", "trial-build", "trial-mark", "config", "bug"):
            assert found.count(kind) == kinds.count(kind), (cut, kind)
        assert abs(found.count("trial-run") - kinds.count("trial-run")) <= lab.machines
