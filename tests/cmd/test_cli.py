"""What the commands print and how they end: one clear line, the right status, nothing half-written."""

import importlib
import json
import pkgutil
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from tests.support.histories import History

from firstbad import cli
from firstbad.cli import main
from firstbad.job import make_job
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

    store = Store(place / "home" / "firstbad.db")
    number = store.submit(make_job({key: str(value) for key, value in files.items()}))
    row = json.loads(invoke("status", "--json").stdout)
    assert (row["job"], row["state"], row["status"]) == (number, "new", "unfinished")
    assert f"job {number} is cancelled" in invoke("cancel").stdout
    assert json.loads(invoke("status", "--json").stdout)["state"] == "cancelled"


def test_every_command_has_help_with_an_example():
    context = click.Context(main)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        result = invoke(name, "--help")
        assert result.exit_code == 0
        assert f"firstbad {name}" in (command.epilog or ""), name


def test_status_is_of_the_job_under_way_in_this_repository(place, files, monkeypatch):
    elsewhere = Store(place / "home" / "firstbad.db").submit(make_job({k: str(v) for k, v in files.items()}))
    data = {"repo": str(files["repo"]), "commit": "master", "good": ["v6.1"], "project": {"command": ["true"]}}
    here = Store(place / "home" / "firstbad.db").submit(make_job(data))
    last = Store(place / "home" / "firstbad.db").submit(make_job({k: str(v) for k, v in files.items()}))
    assert json.loads(invoke("show", "--json").stdout)["job"] == last
    monkeypatch.chdir(files["repo"])
    assert json.loads(invoke("status", "--json").stdout)["job"] == here
    assert json.loads(invoke("show", "--json").stdout)["job"] == here
    assert len(invoke("status", "--json", "--all").stdout.splitlines()) == 3
    invoke("cancel", here)
    assert json.loads(invoke("show", "--json").stdout)["job"] == last != elsewhere


def test_every_command_is_found_by_its_name():
    """Modules are imported by a table of names: it has to be whole."""
    found = set()
    for module in pkgutil.iter_modules(cli.__path__):
        commands = getattr(importlib.import_module(f"firstbad.cli.{module.name}"), "COMMANDS", ())
        found |= {command.name for command in commands}
    assert sorted(found) == main.list_commands(click.Context(main))


def test_doctor_says_what_is_there(place):
    rows = [json.loads(line) for line in invoke("doctor", "--json").stdout.splitlines()]
    assert {"git", "qemu-system-x86_64", "libc.a"} <= {row["name"] for row in rows}
    assert next(row for row in rows if row["name"] == "git")["ok"]
    gcc = next(row for row in rows if row["name"] == "gcc-12")
    assert gcc["releases"] == "v5.10 and later"
    assert gcc["optional"]


def test_doctor_says_which_compiler_a_release_gets(place, tmp_path, monkeypatch):
    fake_path(tmp_path, monkeypatch, "gcc-12 (Debian 12.2.0-14) 12.2.0", "gcc-8 (Debian) 8.3.0")
    told = [" ".join(line.split()) for line in invoke("doctor").stdout.splitlines()]
    assert "v5.10 and later gcc gcc-12: gcc (Debian 12.2.0-14) 12.2.0" in told
    assert "v4.12 and later, before v5.10 gcc gcc-8: gcc (Debian) 8.3.0" in told
    assert "before v4.12 gcc none here: apt-get install gcc-5" in told
    told = [" ".join(line.split()) for line in invoke("doctor", "--arch", "arm64").stdout.splitlines()]
    assert any("none here: apt-get install gcc-12-aarch64-linux-gnu" in line for line in told)
    result = invoke("doctor", "abacus")
    assert (result.exit_code, "nothing is called 'abacus'" in result.stderr) == (2, True)


def test_doctor_installs_what_is_asked_for(place, tmp_path, monkeypatch):
    """What is missing and not optional, and what is named; apt-get is played here."""
    fake_path(tmp_path, monkeypatch, "gcc-12 (Debian 12.2.0-14) 12.2.0")
    missing = {row["package"] for row in map(json.loads, invoke("doctor", "--json").stdout.splitlines())
               if not row["ok"] and not row["optional"]}  # fmt: skip
    assert invoke("doctor", "clang-16", "--install").exit_code == 2, "without apt-get it says so"
    for name in ("env", "sudo"):
        (tmp_path / "bin" / name).write_text('#!/bin/sh\nwhile [ "$1" != apt-get ]; do shift; done\nexec "$@"\n')
    (tmp_path / "bin" / "apt-get").write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\nexit ${{FAKE_STATUS:-0}}\n')
    for name in ("env", "sudo", "apt-get"):
        (tmp_path / "bin" / name).chmod(0o755)
    result = invoke("doctor", "clang-16", "--install", "--json")
    assert result.exit_code == 1, "it was not installed after all"
    asked = (tmp_path / "asked").read_text().split()
    assert asked[:3] == ["install", "-y", "--no-install-recommends"]
    wanted = {name for packages in missing for name in packages.split()}
    assert set(asked[3:]) == wanted | {"clang-16", "lld-16", "llvm-16"}
    monkeypatch.setenv("FAKE_STATUS", "100")
    result = invoke("doctor", "clang-16", "--install")
    assert (result.exit_code, "apt-get install" in result.stderr) == (1, True)


def fake_path(tmp_path, monkeypatch, *compilers):
    """A PATH with nothing but these compilers, by their own first lines."""
    (tmp_path / "bin").mkdir()
    for line in compilers:
        path = tmp_path / "bin" / line.split()[0]
        path.write_text(f"#!/bin/sh\necho '{line}'\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def test_gc_of_nothing(place):
    assert "0.00 GiB" in invoke("gc", "--budget", "1").stdout


def test_no_colour_and_no_control_characters(place):
    result = invoke("cause", "--repo", "x\x1b[31m", "--config", "c", "--repro", "r")
    assert "\x1b" not in result.stderr


def test_people_overrule_and_take_it_back(place, files, monkeypatch):

    from firstbad.session import fold

    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, "/dev/null")
    store = Store(place / "home" / "firstbad.db")
    number = store.submit(make_job({key: str(value) for key, value in files.items()}))
    History(place / "other").git("-C", str(files["repo"]), "config", "user.name", "N \x1b[2J")
    result = invoke("mark", "HEAD~1", "good")
    assert (result.exit_code, "--why" in result.stderr) == (2, True)
    for words, why in (("HEAD", "where the crash was seen"), ("nonsense", "unknown revision")):
        result = invoke("mark", words, "bad", "--why", "x")
        assert (result.exit_code, why in result.stderr) == (2, True)
    result = invoke("mark", "HEAD~1", "good", "--why", "ran it\nby hand \x1b[31m")
    assert result.exit_code == 0, result.stderr
    assert "says: " in result.stdout
    assert "\x1b" not in result.stdout
    row = json.loads(invoke("show", "--json").stdout)
    assert [one["says"] for one in row["marked"]] == ["good"]
    assert "by hand" in invoke("show").stdout
    assert invoke("mark", "HEAD~1", "--undo").exit_code == 0
    assert "nobody marked" in invoke("mark", "HEAD~1", "--undo").stderr
    opinions = fold(store.events(number)).opinions
    assert (len(opinions.said), list(opinions)) == (2, [])
    assert "names no culprit" in invoke("reject", "--why", "no").stderr
    assert "nobody rejected" in invoke("reject", "--undo").stderr
    culprit = History(place / "third").git("-C", str(files["repo"]), "rev-parse", "HEAD~1")
    answer = {"status": "found", "commits": [culprit], "opinions": 2}
    store.append(number, "finished", answer)
    assert invoke("mark", "HEAD~2", "ignore", "--why", "x").exit_code == 0
    assert json.loads(invoke("status", "--json").stdout)["state"] == "reopened"
    assert "not the culprit (no)" in invoke("reject", "--why", "no").stdout
    assert fold(store.events(number)).opinions.rejected() == (culprit,)
    assert "took back" in invoke("reject", "--undo").stdout
    assert fold(store.events(number)).opinions.rejected() == ()


def test_import_shows_what_it_would_take_in(place, files):
    repo = files["repo"]
    log = place / "git.log"
    log.write_text(f"git bisect start 'HEAD' 'v6.1'\n# \x1b[2J\ngit bisect skip {'0' * 40}\ngit bisect good HEAD~2\n")
    result = invoke("import", log, "--repo", repo, "--dry-run")
    assert result.exit_code == 0, result.stderr
    assert "git bisect log" in result.stdout
    assert "good = ['v6.1']" in result.stdout
    assert [line.split()[0] for line in result.stdout.splitlines() if line.endswith((" c0", " c1", " c3"))] == [
        "bad", "good", "good",
    ]  # fmt: skip
    assert f"{'0' * 40}: not in this repository, left out" in result.stderr
    assert not (place / "home" / "firstbad.db").exists(), "nothing is kept of it"
    said = json.loads(invoke("import", log, "--repo", repo, "--dry-run", "--json", "--good", "HEAD~1").stdout)
    assert said["job"]["good"] == ["HEAD~1"]
    assert [row["verdict"] for row in said["revisions"]] == ["bad", "good", "good"]
    piped = CliRunner().invoke(main, ["import", "-", "--repo", str(repo), "--dry-run"], input=log.read_text())
    assert "stdin: git bisect log" in piped.stdout


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense\n", "does not say which commit it starts from"),
        ('{"a": 1}', "no syz-bisect configuration"),
        ("git bisect start\n", "without any revision"),
        (f"bisecting cause commit starting from {'0' * 40}\n", "unknown revision"),
    ],
)
def test_import_of_what_is_no_log_is_one_line_and_status_2(place, files, text, words):
    log = place / "some.log"
    log.write_text(text)
    result = invoke("import", log, *options(files))
    assert (result.exit_code, words in result.stderr) == (2, True)
    assert "no such file" in invoke("import", place / "missing").stderr
    assert not (place / "home" / "firstbad.db").exists()
