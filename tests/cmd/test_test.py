"""`firstbad test`: what it prints, how it ends, whose crash rate it uses; kernels are played by an engine."""

import functools
import json

import pytest
from click.testing import CliRunner
from tests.support.histories import History
from tests.support.lab import Lab

from firstbad.cli import main
from firstbad.session import Bisection
from firstbad.store import Store


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("FIRSTBAD_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.fixture
def history(place):
    made = History(place / "repo")
    for number in range(5):
        made.commit(f"c{number}", {"x.c": f"{number}\n"})
    made.tag("v6.1", "c0")
    (place / "config").write_text("CONFIG_64BIT=y\n")
    (place / "repro.c").write_text("int main(void) { return 0; }\n")
    patch = made.git("diff", made.commits["c4"], made.commits["c0"])
    (place / "fix.diff").write_text(patch + "\n")
    return made


@pytest.fixture
def lab(history, place, monkeypatch):
    """c2 brought the bug; any patch takes it away."""
    has = {history.commits[f"c{i}"] for i in (2, 3, 4)}
    made = []

    def engine(home, job):
        made.append(Lab(place / "artifact", lambda commit: commit in has and not job.test.patch))
        return made[-1]

    monkeypatch.setattr("firstbad.cli.run.Bisection", functools.partial(Bisection, engine=engine))
    return made


def invoke(*args: object, text: str | None = None):
    return CliRunner().invoke(main, [str(arg) for arg in args], input=text)


def files(place):
    return ["--repo", place / "repo", "--config", place / "config", "--repro", place / "repro.c"]


def test_a_patch_against_a_finished_bisection(place, history, lab):
    assert invoke("cause", *files(place), "--plain").exit_code == 0
    fixed = invoke("test", 1, "--patch", place / "fix.diff", "--plain")
    assert fixed.exit_code == 0, fixed.stderr
    assert f"{history.commits['c4'][:12]} with the patch: not seen in " in fixed.stdout
    assert "runs; if the bug were there, the chance of that is 0." in fixed.stdout
    assert "in job 1" in fixed.stdout
    broken = invoke("test", 1, "--plain")
    assert broken.exit_code == 1
    assert "still crashes: BUG: unable to handle kernel NULL pointer dereference" in broken.stdout
    parent = invoke("test", 1, "--rev", history.commits["c1"], "--json")
    assert parent.exit_code == 0
    found = json.loads(parent.stdout)
    assert found["status"] == "not_seen"
    assert found["tested"] == history.commits["c1"]
    assert found["patched"] is False
    assert found["chance"] <= 0.01
    assert found["confidence"] == pytest.approx(1 - found["chance"], abs=1e-5)
    again = invoke("test", found["job"], "--rev", "HEAD", "--json")
    assert again.exit_code == 1
    assert "in job 1" in Store(place / "home" / "firstbad.db").events(found["job"])[-1].data["rate_from"]
    rows = [json.loads(line) for line in invoke("status", "--json").stdout.splitlines()]
    assert [row["kind"] for row in rows] == ["test"] * 4 + ["cause"]
    assert "not seen in" in invoke("show", found["job"]).stdout
    assert "# firstbad: not seen in" in invoke("log", found["job"]).stdout


def test_options_and_a_measured_start(place, history, lab):
    patch = (place / "fix.diff").read_text()
    found = invoke("test", *files(place), "--start", "HEAD", "--patch", "-", "--json", text=patch)
    assert found.exit_code == 0, found.stderr
    data = json.loads(found.stdout)
    assert "4 of 4 runs crashed" in data["rate_from"]
    assert len(lab) == 2
    resumed = invoke("resume", data["job"], "--json")
    assert resumed.exit_code == 0
    assert json.loads(resumed.stdout)["runs"] == data["runs"], "a finished test is not run again"


def test_without_anything_known(place, history, lab):
    found = invoke("test", *files(place), "--rev", "HEAD~4", "--plain")
    assert found.exit_code == 0
    assert "no crash rate is known; one is assumed" in found.stderr
    assert "assumed: nine in ten bugs" in found.stdout
    unsure = invoke("test", *files(place), "--rev", "HEAD~4", "--rate", "0.01", "--runs", "5", "--plain")
    assert unsure.exit_code == 125
    assert "nothing follows" in unsure.stdout
    missing = invoke("test", *files(place), "--start", "HEAD~4", "--json")
    assert missing.exit_code == 125
    assert json.loads(missing.stdout)["status"] == "not_reproduced"


def test_a_job_file(place, history, lab):
    (place / "job.toml").write_text('repo = "repo"\nconfig = "config"\nrepro = "repro.c"\ncommit = "HEAD"\n')
    assert "is assumed" in invoke("test", place / "job.toml", "--rev", "HEAD~4", "--plain").stderr
    assert invoke("cause", place / "job.toml", "--plain").exit_code == 0
    known = invoke("test", place / "job.toml", "--patch", place / "fix.diff", "--plain")
    assert known.exit_code == 0
    assert "in job 2" in known.stdout


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--patch", "none.diff"], "no such patch"),
        (["--patch", "config"], "not a patch"),
        (["--rev", "HEAD~2", "--patch", "fix.diff"], "the patch does not apply"),
        (["--rev", "HEAD~4", "--patch", "fix.diff"], "already applied"),
        (["--patch", "outside.diff"], "reaches outside the tree"),
        (["--rev", "nonsense"], "unknown revision"),
        (["--rev", "--all"], "can't begin with '-'"),
        (["--rate", "2"], "less than or equal to 1"),
    ],
)
def test_unusable_input(place, history, lab, args, words):
    (place / "outside.diff").write_text("--- a/../x\n+++ b/../x\n@@ -1 +1 @@\n-a\n+b\n")
    args = [place / arg if arg.endswith(("diff", "config")) else arg for arg in args]
    result = invoke("test", *files(place), *args)
    assert result.exit_code == 2
    assert words in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (place / "home" / "firstbad.db").exists(), "nothing is kept of it"


def test_a_job_that_does_not_exist(place, history):
    assert "there is no job 7" in invoke("test", 7).stderr
    assert invoke("test", 7).exit_code == 2
    assert "no such job file" in invoke("test", "none.toml").stderr
