"""Where a project's revisions are built and tested: workers that each have a place of their own at every revision."""

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import IO

from firstbad.errors import InfrastructureError
from firstbad.history.git import Repo, inherited
from firstbad.home import Home
from firstbad.job import Project
from firstbad.project.contained import Ended, Running
from firstbad.project.trees import Made, Trees

_FULL = 64 << 20  # bytes that must be free for a failing run to say something
_LINE = 300
_KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)  # the shell, or what it ran last; hosts out of memory do that


@dataclass(frozen=True)
class Tested:
    """One run: how the test ended, and the command for the number where there is one."""

    test: Ended
    metric: Ended | None = None
    changed: list[str] = field(default_factory=list)
    """Files of the work tree that it changed; they were put back."""
    full: bool = False
    """Whether no disk was left afterwards."""


class Bench:
    """Builds and tests revisions of one job, ``project.jobs`` at a time."""

    def __init__(self, home: Home, repo: Repo, project: Project, number: int) -> None:
        self.project, self.number = project, number
        key = sha256(f"{repo.common_dir().resolve()}\0{project.build}".encode(errors="surrogateescape")).hexdigest()[
            :16
        ]
        self.trees = Trees(repo, home.root / "projects" / key, home.budget // 2)
        self.running = Running()
        self._pool = ThreadPoolExecutor(project.jobs, thread_name_prefix="bench")
        self._used: dict[str, IO[str]] = {}
        self._lock = threading.Lock()
        self._prefix = f"firstbad-{sha256(os.fsencode(home.root)).hexdigest()[:6]}-{number}-"
        for left in Path(tempfile.gettempdir()).glob(f"{self._prefix}*"):  # of a session that was killed
            shutil.rmtree(left, ignore_errors=True)

    def build(self, commit: str) -> "Future[tuple[Made, bool]]":
        """Build a revision, or find that it was; the future tells which."""
        return self._pool.submit(self._build, commit)

    def test(self, commit: str, run: int) -> "Future[Tested]":
        """Run the test once at a revision that was built."""
        return self._pool.submit(self._test, commit, run)

    def close(self) -> None:
        """End everything that is under way and leave nothing behind."""
        self.running.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._release(frozenset())

    def collect(self, keep: frozenset[str]) -> None:
        """Let go of all revisions but those of ``keep``, and remove what is over the budget and nobody uses."""
        self._release(keep)
        self.trees.collect(keep)

    def _use(self, commit: str) -> None:
        with self._lock:
            if commit not in self._used:
                self._used[commit] = self.trees.use(commit)

    def _release(self, keep: frozenset[str]) -> None:
        with self._lock:
            for commit in self._used.keys() - keep:
                self._used.pop(commit).close()

    def _build(self, commit: str) -> tuple[Made, bool]:
        self._use(commit)
        with self.trees.lock(commit, lambda: self.running.stopped):
            known = self.trees.made(commit)
            if known is not None:
                return known, True
            directory = self.trees.fresh(commit)
            made = self._make(commit, directory) if self.project.build else Made()
            if self.running.stopped:
                raise InfrastructureError("the build was ended")
            if not made.error:
                self.trees.baseline(directory)
            self.trees.keep(commit, made)
            return made, False

    def _make(self, commit: str, directory: Path) -> Made:
        with self._scratch() as scratch:
            env = self._environment(commit, directory, scratch, 0)
            ended = self.running.run(["sh", "-c", self.project.build], directory, self.project.build_timeout, env)
        if ended.status == 0:
            return Made("", ended.seconds)
        if self._disk_is_full(directory):
            raise InfrastructureError(f"no disk is left for builds in {self.trees.root}")
        if ended.status in _KILLED:
            raise InfrastructureError(f"the build of {commit[:12]} was killed (no memory left?)")
        how = f"took more than {self.project.build_timeout:g} s" if ended.timeout else _how(ended.status)
        return Made(f"{how}: {_last_line(ended.output)}", ended.seconds)

    def _test(self, commit: str, run: int) -> Tested:
        with self._place(commit) as directory, self._scratch() as scratch:
            env = self._environment(commit, directory, scratch, run)
            test = self.running.run(self.project.command, directory, self.project.timeout, env)
            metric = None
            if self.project.metric and test.status == 0:
                shell = ["sh", "-c", self.project.metric]
                metric = self.running.run(shell, directory, self.project.timeout, env)
            if self.running.stopped:
                raise InfrastructureError("the test was ended")
            full = self._disk_is_full(directory) or self._disk_is_full(scratch)
            return Tested(test, metric, self.trees.restore(directory), full)

    @contextmanager
    def _place(self, commit: str) -> Iterator[Path]:
        """A place at a revision that nobody else uses."""
        with self.trees.place_of_ones_own(commit) as number:
            if not number:
                yield self.trees.place(commit, 0)
            else:
                with self.trees.lock(commit, lambda: self.running.stopped):
                    directory = self.trees.another(commit, number)
                    shutil.copy(self.trees.place(commit, 0).parent / "baseline", directory.parent / "baseline")
                yield directory

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """A directory for temporary files that goes with the run."""
        scratch = Path(tempfile.mkdtemp(prefix=self._prefix))
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _environment(self, commit: str, directory: Path, scratch: Path, run: int) -> dict[str, str]:
        return inherited() | {
            "FIRSTBAD_COMMIT": commit,
            "FIRSTBAD_BUILD_DIR": str(directory),
            "FIRSTBAD_RUN": str(run),
            "TMPDIR": str(scratch),
            "PWD": str(directory),
            "GIT_LFS_SKIP_SMUDGE": "1",
            "GIT_TERMINAL_PROMPT": "0",
        }

    def _disk_is_full(self, directory: Path) -> bool:
        return shutil.disk_usage(directory).free < _FULL


def _how(status: int | None) -> str:
    return f"exit status {status}" if status is not None and status >= 0 else f"ended by signal {-(status or 0)}"


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or [""])[0 if errors else -1][:_LINE]
