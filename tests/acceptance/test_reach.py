"""Did a clean run come near the crash's code? On kernels of the demo's history, without and with that code."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from firstbad.crash import parse, symbolize
from firstbad.demo import Case, Demo, demo_job, make_demo
from firstbad.engine import BuildRequest, LocalEngine, RunRequest
from firstbad.history.git import Repo
from firstbad.home import Home
from firstbad.kernel.artifacts import Built
from firstbad.session.aim import Aim, Aims
from firstbad.session.lab import machine_config, make_engine
from firstbad.session.outcome import judge
from firstbad.session.reach import Stack, stack_of
from firstbad.vm import MachineRun

pytestmark = [pytest.mark.kernel, pytest.mark.optional]  # ten minutes

RETURNS_EARLY = (
    "\tint ufd;\n\tstruct timerfd_ctx *ctx;\n",
    "\tint ufd;\n\tstruct timerfd_ctx *ctx;\n\n\tif (flags)\n\t\treturn -EINVAL;\n",
)
IDENTITY = {
    "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_AUTHOR_DATE": "1700000000 +0000",
    "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org", "GIT_COMMITTER_DATE": "1700000000 +0000",
    "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null",
}  # fmt: skip


@dataclass
class Lab:
    """One case of the demo: its engine, and what its crash taught."""

    made: Demo
    case: Case
    engine: LocalEngine
    consoles: Path
    stack: Stack = field(default_factory=Stack)
    compiled: frozenset[str] = frozenset()

    def build(self, commit: str, repo: Path | None = None, config: str = "") -> Built:
        request = BuildRequest(repo or self.made.repo, commit, config, "tinyconfig" if config else "none")
        built = self.engine.build(request).result()
        assert not built.error, built.error
        return built

    def run(self, built: Built, aim: Aim) -> MachineRun:
        machine = replace(machine_config(demo_job(self.made, self.case, 0.99)), watched=aim.watched)
        return self.engine.run(RunRequest(built.kernel, self.consoles / "console.txt", machine)).result()

    def learn(self, home: Home) -> None:
        built = self.build(self.case.start)
        for _ in range(20):
            report = parse(self.run(built, Aim()).console)
            if report is not None:
                break
        assert report is not None
        text = symbolize(report.report, built.directory / "vmlinux", str(home.builders / "0" / "src"))
        self.stack, self.compiled = stack_of(report, text), built.compiled()

    def aim(self, commit: str, built: Built, repo: Path | None = None) -> Aim:
        return Aims(Repo(repo or self.made.repo), self.case.start).at(commit, built, self.stack, self.compiled)

    def clean(self, built: Built, aim: Aim) -> MachineRun:
        run = self.run(built, aim)
        assert judge(run, None).outcome == "ok", run.detail
        return run

    def parent(self) -> str:
        return Repo(self.made.repo).commit(self.case.culprit).parents[0]


@pytest.fixture(scope="module", params=["a", "c", "g-cause"])
def lab(request, place, tmp_path_factory):
    made = make_demo(place.root / "demo", 1)
    case = made.cases[request.param]
    engine = make_engine(place, demo_job(made, case, 0.99))
    found = Lab(made, case, engine, tmp_path_factory.mktemp("consoles"))
    found.learn(place)
    yield found
    engine.close()


def test_the_crash_names_the_functions(lab):
    guilty = lab.stack.functions[0]
    assert lab.case.title.endswith(f" {guilty}")
    assert lab.stack.sources[guilty] in lab.compiled


def test_at_the_culprit_s_parent_a_clean_run_reaches_the_code_or_there_is_none_yet(lab):
    parent = lab.parent()
    built = lab.build(parent)
    aim = lab.aim(parent, built)
    run = lab.clean(built, aim)
    if lab.case.name == "g-cause":
        assert aim.verdict == aim.reached(run) == "absent"
        assert aim.watched is None
    else:
        assert aim.verdict is None
        assert aim.reached(run) is True
        assert True in run.ran.values()


def test_a_crash_tells_it_too(lab):
    """The machine stands still while a function is noticed, and goes on as if nothing had been."""
    built = lab.build(lab.case.start)
    aim = lab.aim(lab.case.start, built)
    runs = [lab.run(built, aim) for _ in range(3)]
    assert all(aim.reached(run) is True for run in runs)
    assert all(run.ended in ("panic", "finished") for run in runs)
    if lab.case.name != "c":
        assert all(run.ended == "panic" for run in runs)


def only(lab: Lab, name: str) -> None:
    if lab.case.name != name:
        pytest.skip(f"asked of bug {name} alone")


def test_where_the_subsystem_is_configured_out_the_run_says_so(lab):
    only(lab, "c")
    config = lab.case.config.read_text().replace("CONFIG_TIMERFD=y", "# CONFIG_TIMERFD is not set")
    built = lab.build(lab.case.start, config=config)
    aim = lab.aim(lab.case.start, built)
    assert aim.why == "fs/timerfd.c is not compiled"
    assert aim.reached(lab.clean(built, aim)) is False


@pytest.fixture
def turned_away(lab, tmp_path):
    """The culprit's parent with an early return before anything of the crash's stack."""
    only(lab, "c")
    repo = tmp_path / "early.git"
    subprocess.run(["git", "clone", "-q", "--bare", "--shared", lab.made.repo, repo], check=True)
    env = {**os.environ, **IDENTITY, "GIT_DIR": str(repo), "GIT_INDEX_FILE": str(tmp_path / "index")}

    def git(*args: str, text: str = "") -> str:
        return subprocess.run(
            ["git", *args], input=text, env=env, check=True, capture_output=True, text=True
        ).stdout.strip()

    parent = lab.parent()
    source = git("show", f"{parent}:fs/timerfd.c") + "\n"
    assert source.count(RETURNS_EARLY[0]) == 1
    git("read-tree", parent)
    blob = git("hash-object", "-w", "--stdin", text=source.replace(*RETURNS_EARLY))
    git("update-index", "--cacheinfo", f"100644,{blob},fs/timerfd.c")
    return repo, git("commit-tree", git("write-tree"), "-p", parent, "-m", "timerfd: no flags")


def test_where_an_early_error_stops_the_reproducer_no_function_ran(lab, turned_away):
    repo, commit = turned_away
    built = lab.build(commit, repo)
    aim = lab.aim(commit, built, repo)
    assert aim.verdict is None
    run = lab.clean(built, aim)
    assert aim.reached(run) is False
    assert run.ran
    assert not any(run.ran.values())


def test_two_machines_at_a_time_are_told_apart(lab):
    only(lab, "a")
    parent = lab.parent()
    built = lab.build(parent)
    aim = lab.aim(parent, built)
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda one: lab.run(built, one), [aim, Aim()]))
    assert [bool(run.ran) for run in runs] == [True, False]
