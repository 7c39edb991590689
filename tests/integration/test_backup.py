"""The commands of docs/service.md back a service up in the middle of a bisection, and the copy goes on from there."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from tests.integration.test_worker import a_job
from tests.support.daemons import Process, wait_for, worker
from tests.support.postgres import PROGRAMS
from tests.support.projects import line, make_repo

from firstbad.store import Queue, Store

PAGE = Path(__file__).parents[2] / "docs" / "service.md"


def commands(name: str) -> str:
    found = re.search(rf"<!-- test: {name} -->\n```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found, name
    return found[1]


def shell(name: str, **environment: str) -> None:
    path = f"{PROGRAMS}:{os.environ['PATH']}"
    subprocess.run(["sh", "-eu", "-c", commands(name)], env={"PATH": path, **environment}, check=True)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_backup_and_restore(kind, request, tmp_path):
    if kind == "sqlite" and shutil.which("sqlite3") is None:
        pytest.skip("sqlite3 is not installed")
    home, copied, backup = tmp_path / "home", tmp_path / "copied", str(tmp_path / "backup")
    databases = [str(home / "firstbad.db"), str(copied / "firstbad.db")]
    if kind == "postgresql":
        server = request.getfixturevalue("postgres")
        databases = [server.new_database(f"{name}{time.time_ns()}") for name in ("old", "new")]
    hashes = make_repo(tmp_path / "repo.git", line(12))
    store = Store(databases[0])
    number = Queue(store).submit(a_job(tmp_path, hashes, 5, 0.4)).number
    process = worker(tmp_path / "worker.log", databases[0], home)
    try:
        wait_for(lambda: store.job(number).runs >= 2)
        plain = [name.replace("postgresql+psycopg", "postgresql") for name in databases]
        shell(f"backup {kind}", FIRSTBAD_HOME=str(home), FIRSTBAD_DATABASE=plain[0], BACKUP=backup)
    finally:
        process.end()
    shell(f"restore {kind}", FIRSTBAD_HOME=str(copied), FIRSTBAD_DATABASE=plain[1], BACKUP=backup)
    again = Store(databases[1])
    before = again.events(number)
    assert before == store.events(number)[: len(before)]
    assert len(before) > 4
    assert again.job(number).state == "interrupted"
    words = ("worker", "--until-empty", "--lease", "1")
    assert Process(tmp_path / "again.log", databases[1], copied, *words).process.wait(60) == 0
    assert again.job(number).culprit == hashes[5]
    assert again.events(number)[: len(before)] == before
