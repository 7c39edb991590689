"""``firstbad audit``: for people, for scripts, and with what it can't read."""

import json

import pytest
from click.testing import CliRunner
from tests.support.audit_logs import ASTRAY, OTHER, RIGHT, commit, log

from firstbad.cli import main
from firstbad.report.log import write


@pytest.fixture
def files(tmp_path):
    (tmp_path / "right.txt").write_text(write(log(*RIGHT)))
    (tmp_path / "astray.txt").write_text(write(log(*ASTRAY, title=OTHER)))
    return [str(tmp_path / "right.txt"), str(tmp_path / "astray.txt")]


def test_a_json_object_a_log(files):
    done = CliRunner().invoke(main, ["audit", "--json", *files])
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["log"] for row in rows] == files
    assert [row["verdict"] for row in rows] == ["trust", "reject"]
    assert rows[1]["suspect"] == {"hash": commit(4), "why": "unrelated-crash"}


def test_for_people(files):
    done = CliRunner().invoke(main, ["audit", *files])
    assert done.exit_code == 0
    right, astray = done.stdout.split("\n\n")
    assert "that this is the culprit" in right
    assert "firstbad import" not in right
    assert "unrelated crash: another bug was taken for this one" in astray
    assert f"firstbad import {files[1]} --repo LINUX" in astray


def test_from_stdin_and_steering_bytes(files):
    text = write(log(*RIGHT)).replace("poke harder", "poke\x1b[2J harder")
    done = CliRunner().invoke(main, ["audit", "-"], input=text)
    assert done.exit_code == 0
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("content", "words"),
    [("git bisect start\ngit bisect good\n", "firstbad import"), ("", "no bisection log"), (None, "no such file")],
)
def test_what_is_no_log(tmp_path, content, words):
    path = tmp_path / "a.log"
    if content is not None:
        path.write_text(content)
    done = CliRunner().invoke(main, ["audit", "--json", str(path)])
    assert done.exit_code == 2
    assert done.stdout == ""
    assert words in done.stderr
    assert str(path) in done.stderr


def test_no_clone(files, tmp_path):
    done = CliRunner().invoke(main, ["audit", "--repo", str(tmp_path / "none"), *files])
    assert done.exit_code == 2
    assert "none" in done.stderr
