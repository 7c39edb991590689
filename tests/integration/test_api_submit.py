"""What the command line sends to a server: files by what is in them, jobs as their options say."""

import pytest
from click.testing import CliRunner
from tests.support.service import OURS, make_service

from firstbad.cli import bisect, main, submit
from firstbad.cli import test as test_command
from firstbad.cli.remote import Server


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    return make_service(tmp_path_factory.mktemp("submit"))


@pytest.fixture
def cli(service, monkeypatch, tmp_path):
    """Runs a command with the server; the number of the job that it then would watch is what it returns."""
    client = service.client()
    asked = []
    server = Server("http://localhost", service.tokens["net/submit"], transport=client._transport)
    plain = server.ask
    monkeypatch.setattr(server, "ask", lambda *words, **more: asked.append(words) or plain(*words, **more))
    watched = []
    for module in (bisect, test_command):
        monkeypatch.setattr(module, "chosen", lambda: server)
    monkeypatch.setattr(submit, "await_job", lambda jobs, number, *_: watched.append(number))
    monkeypatch.setattr(test_command, "follow", lambda jobs, number, plain: watched.append(number) or "finished")
    (tmp_path / ".config").write_text("CONFIG_64BIT=y\n")
    (tmp_path / "crash.c").write_text("int main(void) { return 0; }\n")
    (tmp_path / "fix.diff").write_text("--- a/src/c1.c\n+++ b/src/c1.c\n@@ -1 +1 @@\n-c1\n+c2\n")
    monkeypatch.chdir(tmp_path)

    def run(*words):
        del asked[:], watched[:]
        done = CliRunner().invoke(main, [str(word) for word in words])
        return done, watched, asked

    return run


def test_cause_by_options(service, cli):
    commits = service.done.history.commits
    words = ["cause", "--repo", "linux", "--config", ".config", "--repro", "crash.c", "--commit", commits["c23"]]
    words += ["--good", commits["c0"], "--title", "BUG: x", "--private", "--cpus", "4", "--deadline", "2h"]
    done, (number,), asked = cli(*words)
    assert done.exit_code == 0, done.output
    stored = service.store.job(number)
    assert (stored.project, stored.priority, stored.private) == ("net", 0, True)
    assert 7100 < stored.most_seconds <= 7200
    assert (stored.job.machine.cpus, stored.job.title) == (4, "BUG: x")
    assert service.app.state.site.files.project_of(number, stored.job.config.parent.name) == "net"
    assert ("POST", "/files") in asked
    _, (second,), asked = cli(*words)
    assert ("POST", "/files") not in asked  # the server has them
    assert service.store.job(second).job == stored.job


def test_cause_by_a_job_file(service, cli, tmp_path):
    commits = service.done.history.commits
    text = f'repo = "linux"\nconfig = ".config"\nrepro = "crash.c"\ncommit = "{commits["c23"]}"\n[machine]\ncpus = 3\n'
    (tmp_path / "job.toml").write_text(text)
    done, (number,), _ = cli("cause", "job.toml", "--good", commits["c0"])
    assert done.exit_code == 0, done.output
    job = service.store.job(number).job
    assert (job.kind, job.machine.cpus, job.good) == ("cause", 3, [commits["c0"]])
    assert job.repo == service.done.place.root / "repositories" / "linux"


def test_a_test_of_a_patch_against_a_job_of_the_server(service, cli):
    commits = service.done.history.commits
    words = ["cause", "--repo", "trusted", "--config", ".config", "--repro", "crash.c", "--commit", commits["c23"]]
    _, (number,), _ = cli(*words)
    for event in service.store.events(OURS):
        service.store.append(number, event.kind, event.data)
    done, (made,), _ = cli("test", number, "--patch", "fix.diff", "--rev", commits["c20"])
    assert done.exit_code == 0, done.output
    job = service.store.job(made).job
    assert (job.kind, job.commit, job.test.reference) == ("test", commits["c20"], number)
    assert job.test.patch.startswith("--- a/src/c1.c")
    assert job.config == service.store.job(number).job.config


def test_a_test_measures_first_where_it_is_told_so(service, cli):
    commits = service.done.history.commits
    words = ["test", "--repo", "linux", "--config", ".config", "--repro", "crash.c", "--rev", commits["c5"]]
    done, (first, second), _ = cli(*words, "--start", commits["c23"])
    assert done.exit_code == 0, done.output
    measured, tested = service.store.job(first).job, service.store.job(second).job
    assert (measured.test.measure, measured.commit) == (True, commits["c23"])
    assert (tested.test.reference, tested.commit) == (first, commits["c5"])


def test_a_patch_needs_a_repository_whose_jobs_may_run_commands(service, cli):
    commits = service.done.history.commits
    words = ["test", "--repo", "linux", "--config", ".config", "--repro", "crash.c", "--rev", commits["c5"]]
    done, watched, _ = cli(*words, "--patch", "fix.diff")
    assert (done.exit_code, watched) == (2, [])


def test_without_a_repository_it_says_which_there_are(service, cli):
    done, watched, _ = cli("cause", "--config", ".config", "--repro", "crash.c")
    assert (done.exit_code, watched) == (2, [])
