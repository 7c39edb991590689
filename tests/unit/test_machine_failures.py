"""A machine that fails is told as that: no traceback, and no fact about any revision."""

import errno
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tests.support.histories import History

from firstbad.errors import InfrastructureError, UserError, machine_failures
from firstbad.hand.worktree import WorkTree
from firstbad.history.git import Repo
from firstbad.home import Home
from firstbad.job import Project
from firstbad.kernel import toolchain
from firstbad.project import contained
from firstbad.project.bench import Bench
from firstbad.scratch import scratch, write_whole
from firstbad.session.source import Source


@pytest.fixture
def history(tmp_path):
    made = History(tmp_path / "repo")
    made.commit("one", {"a.c": "int f(void)\n{\n}\n"})
    made.commit("two")
    return made


def fake(directory: Path, name: str, script: str) -> None:
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(f"#!/bin/sh\n{script}\n")
    (directory / name).chmod(0o755)


def test_errors_of_the_system_that_are_the_machines():
    with pytest.raises(InfrastructureError, match="/x: No space left on device"), machine_failures():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/x")
    with pytest.raises(FileNotFoundError), machine_failures():
        raise FileNotFoundError(errno.ENOENT, "a defect of ours", "/x")


def test_a_data_directory_that_can_not_be_had_is_told_in_one_line():
    env = {**os.environ, "FIRSTBAD_HOME": "/proc/none/home"}
    done = subprocess.run([sys.executable, "-m", "firstbad", "status"], env=env, capture_output=True, text=True)
    assert done.stderr.count("\n") == 1
    assert "/proc/none/home: can't be made" in done.stderr


def test_output_that_nobody_can_take_is_told_in_one_line():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "firstbad", "--help"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr) == (1, "firstbad: No space left on device\n")


def test_an_answer_that_could_not_be_printed_is_printed_by_the_next_command(history, tmp_path):
    log = tmp_path / "log"
    ends = ("--good", history.commits["one"], "--bad", history.commits["two"])
    test = ("sh", "-c", f"echo x >> {log}; test ! -e src/two.c")
    command = [sys.executable, "-m", "firstbad", "run", "--json", *ends, "--", *test]
    env = {**os.environ, "FIRSTBAD_HOME": str(tmp_path / "home")}
    with Path("/dev/full").open("w") as full:
        first = subprocess.run(command, cwd=history.path, env=env, stdout=full, stderr=subprocess.PIPE, text=True)
    assert first.returncode
    runs = log.read_text()
    again = subprocess.run(command, cwd=history.path, env=env, capture_output=True, text=True, check=True)
    assert json.loads(again.stdout)["commits"] == [history.commits["two"]]
    assert log.read_text() == runs, "nothing was run again"


def test_an_answer_that_is_out_is_no_failure_although_nothing_can_be_recorded_any_more(history, tmp_path):
    script = """
import sys
from firstbad.errors import InfrastructureError
from firstbad.store import Store
append = Store.append
def full(self, job, kind, *more):
    if kind == "told":
        raise InfrastructureError("no room")
    return append(self, job, kind, *more)
Store.append = full
from firstbad.cli import main
main()
"""
    ends = ("--good", history.commits["one"], "--bad", history.commits["two"])
    command = [sys.executable, "-c", script, "run", "--json", *ends, "--", "test", "!", "-e", "src/two.c"]
    env = {**os.environ, "FIRSTBAD_HOME": str(tmp_path / "home")}
    done = subprocess.run(command, cwd=history.path, env=env, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["commits"] == [history.commits["two"]]


def test_a_git_that_was_killed_gave_no_answer(history, tmp_path, monkeypatch):
    repo = Repo(history.path)
    fake(tmp_path / "bin", "git", "kill -9 $$")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    with pytest.raises(InfrastructureError, match="ended by signal 9"):
        repo.blob("HEAD", "a.c")


def test_a_checkout_that_was_killed_says_so(history, tmp_path, monkeypatch):
    tree = WorkTree(history.path)
    fake(tmp_path / "bin", "git", "kill -9 $$")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    with pytest.raises(InfrastructureError, match="signal 9"):
        tree.checkout("HEAD")


def test_a_git_that_can_not_write_is_a_machine_that_fails(history, tmp_path, monkeypatch):
    repo = Repo(history.path)
    for words in ("fatal: cannot update ref 'HEAD': couldn't write 'x.lock'", "/x/refs: No space left on device"):
        fake(tmp_path / "bin", "git", f'echo "{words}" >&2; exit 128')
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
        with pytest.raises(InfrastructureError, match="git cat-file failed"):
            repo.blob("HEAD", "a.c")


@pytest.mark.parametrize("how", ["gone", "empty", "half"])
def test_an_object_that_is_broken_is_no_missing_file(history, how):
    repo, commit = Repo(history.path), history.commits["one"]
    blob = history.git("rev-parse", f"{commit}:a.c")
    file = history.path / ".git/objects" / blob[:2] / blob[2:]
    file.chmod(0o644)
    if how == "gone":
        file.unlink()
    else:
        file.write_bytes(b"" if how == "empty" else file.read_bytes()[:9])
    with pytest.raises(InfrastructureError):
        repo.blob(commit, "a.c")
    with pytest.raises(InfrastructureError):
        Source(repo, history.commits["two"]).name_at(commit, "f")


def test_a_compiler_that_was_killed_is_not_one_that_is_missing(tmp_path, monkeypatch):
    fake(tmp_path / "bin", "gcc-3", "kill -9 $$")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    with pytest.raises(InfrastructureError, match="no memory left"):
        toolchain.identity("gcc-3")


def bench(history, tmp_path, build: str) -> Bench:
    project = Project(command=["true"], build=build)
    return Bench(Home(tmp_path / "home", 1 << 30), Repo(history.path), project, 1)


def test_a_build_that_was_killed_is_not_kept(history, tmp_path):
    one = bench(history, tmp_path, "kill -9 $$")
    with pytest.raises(InfrastructureError, match="was killed"):
        one.build(history.commits["one"]).result()
    one.close()
    other = bench(history, tmp_path, "kill -9 $$")
    assert other.trees.made(history.commits["one"]) is None
    other.close()


def test_a_guard_that_was_killed_says_nothing_of_the_test(history, tmp_path):
    one = bench(history, tmp_path, "")
    with pytest.raises(InfrastructureError, match="watches over a command"):
        one.running.run(["sh", "-c", "kill -9 $PPID; sleep 9"], tmp_path, 0, os.environ)
    one.close()


def test_a_command_that_can_not_be_started_for_want_of_memory_is_not_a_wrong_command(tmp_path, monkeypatch):
    guard = tmp_path / "guard.py"
    shown = 'import os, sys; os.write(int(sys.argv[2]), b\'{"error": "x: why", "errno": %d}\')'
    monkeypatch.setattr(contained, "_GUARD", guard)
    for number, kind in ((errno.ENOMEM, InfrastructureError), (errno.ENOENT, UserError)):
        guard.write_text(shown % number)
        with pytest.raises(kind, match="can't run x: why"):
            contained.Running().run(["x"], tmp_path, 0, os.environ)


def test_a_scratch_directory_of_an_owner_that_is_no_more_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    owner = "import os, firstbad.scratch as s\nwith s.scratch() as d: print(d, flush=True); os.kill(os.getpid(), 9)"
    done = subprocess.run(
        [sys.executable, "-c", owner], env={**os.environ, "TMPDIR": str(tmp_path)}, capture_output=True
    )
    left = Path(done.stdout.decode().strip())
    assert left.is_dir()
    with scratch() as mine:
        assert not left.exists()
        with scratch():
            assert mine.is_dir(), "an owner that lives keeps its own"
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_whole_although_an_owner_was_killed_at_it(tmp_path):
    (tmp_path / "x.new").write_bytes(b"longer than what is to be kept")
    write_whole(tmp_path / "x", b"data", 0o755)
    assert (tmp_path / "x").read_bytes() == b"data"
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o755
    write_whole(tmp_path / "x", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
