"""What the commands print and how they end: one clear line, the right status, nothing half-written."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.support.histories import History

from firstbad.cli import main
from firstbad.store import Store


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("FIRSTBAD_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.fixture
def files(place):
    history = History(place / "repo")
    for number in range(4):
        history.commit(f"c{number}")
    history.tag("v6.1", "c0")
    (place / "config").write_text("CONFIG_64BIT=y\n")
    (place / "ok.c").write_text("int main(void) { return 0; }\n")
    (place / "broken.c").write_text("int main(void) { return nonsense; }\n")
    return {"repo": place / "repo", "config": place / "config", "repro": place / "ok.c"}


def invoke(*args: object):
    return CliRunner().invoke(main, [str(arg) for arg in args])


def options(files: dict[str, Path], **changes: object) -> list[object]:
    return [item for key, value in {**files, **changes}.items() for item in (f"--{key}", value)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"config": "missing"}, "config: no such file"),
        ({"repo": "missing"}, "repo: no such directory"),
        ({"repro": "missing.c"}, "repro: no such file"),
        ({"commit": "nonsense"}, "unknown revision: nonsense"),
        ({"commit": "-nonsense"}, "commit: a revision can't begin with '-'"),
        ({"good": "--output=x"}, "good: a revision can't begin with '-'"),
        ({"target": "2"}, "target: Input should be less than 1"),
        ({"toolchain": "tcc"}, "unknown toolchain 'tcc'"),
    ],
)
def test_unusable_input_is_one_line_and_status_2(place, files, changes, words):
    changes = {k: place / v if k in ("config", "repo", "repro") else v for k, v in changes.items()}
    result = invoke("cause", *options(files, **changes))
    assert result.exit_code == 2
    assert words in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert result.stdout == ""
    assert not (place / "home" / "firstbad.db").exists(), "nothing is kept of it"


def test_reproducer_that_does_not_compile(place, files):
    result = invoke("cause", *options(files, repro=place / "broken.c"))
    assert result.exit_code == 2
    assert "broken.c" in result.stderr
    assert "nonsense" in result.stderr
    assert not (place / "home" / "firstbad.db").exists()


def test_empty_repository(place, files):
    (place / "empty").mkdir()
    History(place / "void")
    assert "is empty" in invoke("cause", *options(files, repo=place / "void")).stderr
    result = invoke("cause", *options(files, repo=place / "empty"))
    assert "not a git repository" in result.stderr
    assert result.exit_code == 2


def test_job_file_errors_name_file_field_and_reason(place, files):
    job = place / "job.toml"
    job.write_text('repo = "repo"\nconfig = "config"\nrepro = "ok.c"\ncolour = 1\n')
    result = invoke("cause", job)
    assert result.exit_code == 2
    assert f"{job}: colour: Extra inputs are not permitted" in result.stderr
    job.write_text('repo = "repo"\nconfig = "config"\n')
    assert f"{job}: repro: missing" in invoke("cause", job).stderr
    job.write_text("repo = \n")
    assert "not a TOML job file" in invoke("cause", job).stderr
    assert "no such job file" in invoke("cause", place / "other.toml").stderr


def test_no_jobs_yet(place):
    assert "no jobs yet" in invoke("status").stdout
    for command in ("show", "log", "resume", "cancel"):
        result = invoke(command)
        assert result.exit_code == 2
        assert "there is no job yet" in result.stderr
    assert "there is no job 7" in invoke("show", 7).stderr


def test_status_and_cancel_of_a_waiting_job(place, files):
    from firstbad.job import make_job

    store = Store(place / "home" / "firstbad.db")
    number = store.submit(make_job({key: str(value) for key, value in files.items()}))
    row = json.loads(invoke("status", "--json").stdout)
    assert (row["job"], row["state"], row["status"]) == (number, "new", "unfinished")
    assert f"job {number} is cancelled" in invoke("cancel").stdout
    assert json.loads(invoke("status", "--json").stdout)["state"] == "cancelled"


def test_every_command_has_help_with_an_example():
    for name, command in main.commands.items():
        result = invoke(name, "--help")
        assert result.exit_code == 0
        assert f"firstbad {name}" in (command.epilog or ""), name


def test_doctor_says_what_is_there(place):
    rows = [json.loads(line) for line in invoke("doctor", "--json").stdout.splitlines()]
    assert {"git", "qemu-system-x86_64", "libc.a"} <= {row["name"] for row in rows}
    assert next(row for row in rows if row["name"] == "git")["ok"]


def test_gc_of_nothing(place):
    assert "0.00 GiB" in invoke("gc", "--budget", "1").stdout


def test_no_colour_and_no_control_characters(place):
    result = invoke("cause", "--repo", "x\x1b[31m", "--config", "c", "--repro", "r")
    assert "\x1b" not in result.stderr
