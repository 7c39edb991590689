"""The command line as a client of a real server process, with a real worker, over HTTP."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from tests.support.histories import History
from tests.support.postgres import free_port

from firstbad.home import Home
from firstbad.store import open_store
from firstbad.store.access import Access


class Running:
    """A server with its worker, over a repository whose test fails from one commit on."""

    def __init__(self, root: Path) -> None:
        self.root, self.port = root, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.history = History(root / "repository")
        for number in range(12):
            state = "broken" if number >= 7 else "fine"
            self.history.commit(f"c{number}", files={"state": state, "check.sh": "#!/bin/sh\ngrep -q fine state\n"})
        self.place = Home(root / "home", 1 << 30)
        access = Access(open_store(self.place).database)
        access.add_repository("tool", str(self.history.path), commands=True)
        self.token = access.create_token("tester", "submit", "default", None)[0]
        self.reader = access.create_token("reader", "read", "default", None)[0]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> None:
        environment = {**os.environ, "FIRSTBAD_HOME": str(self.place.root)}
        command = [sys.executable, "-m", "firstbad", "serve", "--port", str(self.port), *more]
        with (self.root / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stderr=log, stdout=log)
        for _ in range(300):
            try:
                if httpx.get(f"{self.url}/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
        raise AssertionError((self.root / "serve.log").read_text())

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def command(self, *words: str, token: str | None = None) -> list[str]:
        return [sys.executable, "-m", "firstbad", "--server", self.url, *words]

    def environment(self, token: str | None = None) -> dict[str, str]:
        more = {"FIRSTBAD_HOME": str(self.root / "client"), "FIRSTBAD_TOKEN": self.token if token is None else token}
        return {**os.environ, **more, "XDG_CONFIG_HOME": str(self.root / "none")}

    def cli(self, *words: str, token: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words),
            env=self.environment(token),
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=180,
        )


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    made = Running(tmp_path_factory.mktemp("running"))
    made.start()
    yield made
    made.stop()


def run_words(running):
    commits = running.history.commits
    return (
        "run",
        "--repo",
        "tool",
        "--bad",
        commits["c11"],
        "--good",
        commits["c0"],
        "--plain",
        "--json",
        "--",
        "sh",
        "check.sh",
    )


def test_a_run_from_its_submission_to_its_exit_status(running):
    done = running.cli(*run_words(running))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["status"], found["commits"]) == ("found", [running.history.commits["c7"]])
    number = str(found["job"])
    # The live view's lines, told by another machine's worker.
    assert "good" in done.stderr
    assert "bad" in done.stderr

    shown = running.cli("show", number)
    assert "first bad commit: " + running.history.commits["c7"] in shown.stdout
    assert json.loads(running.cli("show", number, "--json").stdout)["commits"] == found["commits"]
    assert running.history.commits["c7"][:12] in running.cli("status").stdout
    assert json.loads(running.cli("status", number, "--json").stdout)["state"] == "finished"
    assert "git bisect" in running.cli("log", number).stdout
    again = running.cli("watch", number, "--json")
    assert (again.returncode, json.loads(again.stdout)["commits"]) == (0, found["commits"])
    assert "finished" in running.cli("cancel", number).stdout

    marked = running.cli("reject", number, "--why", "it is not that one")
    assert marked.returncode == 0, marked.stderr
    assert "tester says" in marked.stdout
    assert running.cli("reject", number, "--undo").returncode == 0


def test_ctrl_c_leaves_the_job_going(running):
    slow = ("--", "sh", "-c", "sleep 3; grep -q fine state")
    words = run_words(running)[:-3] + slow
    process = subprocess.Popen(
        running.command(*words), env=running.environment(), cwd=running.root, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    first = process.stderr.readline()  # it is watching
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    said = first + said
    headers = {"Authorization": f"Bearer {running.token}"}
    jobs = httpx.get(f"{running.url}/api/v1/jobs", headers=headers).json()["jobs"]
    assert jobs[0]["standing"] in ("waiting", "running")
    number = jobs[0]["job"]
    assert process.returncode == 130, said
    assert f"firstbad --server {running.url} watch {number}" in said
    assert running.cli("status", str(number), "--json").stdout
    assert running.cli("cancel", str(number)).returncode == 0
    ended = running.cli("watch", str(number), "--plain")
    assert ended.returncode == 143, ended.stderr


def test_what_is_wrong_is_told_as_on_this_machine(running):
    for words, status, said in (
        (("cause", "--repo", "nowhere", "--config", "serve.log", "--repro", "serve.log"), 2, "knows no repository"),
        (("cause", "--repo", "tool", "--config", "missing", "--repro", "serve.log"), 2, "config: no such file"),
        (("show", "999"), 2, "no job 999"),
        (("doctor",), 2, "on this machine only"),
        (("run", "--repo", "tool", "--bad", "nope", "--good", "c0", "--", "true"), 2, "unknown revision"),
    ):
        done = running.cli(*words)
        assert (done.returncode, said in done.stderr) == (status, True), (words, done)
    done = running.cli("status", token="")
    assert (done.returncode, "FIRSTBAD_TOKEN" in done.stderr) == (2, True), done
    done = running.cli(*run_words(running), token=running.reader)
    assert (done.returncode, "scope 'submit'" in done.stderr) == (2, True), done
    away = subprocess.run(
        [sys.executable, "-m", "firstbad", "--server", "http://127.0.0.1:9", "show", "1"],
        env=running.environment(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert away.returncode != 0
    assert "127.0.0.1:9" in away.stderr


def test_a_token_file_that_others_can_read_is_refused(running, tmp_path):
    file = tmp_path / "token"
    file.write_text(running.token)
    file.chmod(0o644)
    words = ["--server", running.url, "--token-file", str(file), "status"]
    environment = running.environment("")
    refused = subprocess.run(
        [sys.executable, "-m", "firstbad", *words], env=environment, capture_output=True, text=True
    )
    assert (refused.returncode, "chmod 600" in refused.stderr) == (2, True)
    file.chmod(0o600)
    taken = subprocess.run([sys.executable, "-m", "firstbad", *words], env=environment, capture_output=True, text=True)
    assert taken.returncode == 0, taken.stderr


def test_watching_goes_on_when_the_server_is_started_again(running):
    words = (*run_words(running)[:-3], "--", "sh", "-c", "sleep 1; sh check.sh")
    process = subprocess.Popen(
        running.command(*words), env=running.environment(), cwd=running.root,
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(5)
    assert running.stop() == 0
    running.start()
    out, said = process.communicate(timeout=180)
    assert process.returncode == 0, said
    assert json.loads(out)["commits"] == [running.history.commits["c7"]]
