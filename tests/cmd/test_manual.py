"""The manual page, the shells' completion, and `git firstbad`."""

import os
import shutil
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner
from tests.support.histories import History

from firstbad.cli import main
from firstbad.cli.man import manual


def need(tool: str) -> str:
    found = shutil.which(tool)
    if found is None:
        pytest.skip(f"{tool} is not installed")
    return found


def test_the_manual_has_each_command_with_the_words_of_its_help():
    page = manual(main)
    context = click.Context(main)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        if command.hidden:
            continue
        assert f".SS {name} ".replace("-", "\\-") in page
        words = " ".join((command.help or "").split("\n\n")[0].split()).replace("\\", "\\e").replace("-", "\\-")
        assert words in page, name


@pytest.mark.parametrize("command", [["mandoc", "-Tlint", "-W", "error"], ["groff", "-man", "-Tutf8", "-ww"]])
def test_the_manual_is_sound(tmp_path, command):
    need(command[0])
    (tmp_path / "firstbad.1").write_text(manual(main))
    done = subprocess.run([*command, str(tmp_path / "firstbad.1")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_man_installs_beside_the_program(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    result = CliRunner().invoke(main, ["man", "--install"])
    assert result.exit_code == 0, result.output
    names = sorted(file.name for file in (tmp_path / "share/man/man1").iterdir())
    assert names == ["firstbad.1", "git-firstbad.1"]
    assert "git\\-firstbad \\- " in (tmp_path / "share/man/man1/git-firstbad.1").read_text()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_takes_the_completion(tmp_path, shell):
    need(shell)
    result = CliRunner().invoke(main, ["completion", shell])
    (tmp_path / "file").write_text(result.output)
    done = subprocess.run([shell, "-n", str(tmp_path / "file")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_revisions_are_completed(tmp_path, monkeypatch):
    history = History(tmp_path / "repo")
    history.commit("one")
    history.tag("v1.0", "one")
    history.git("branch", "topic/venus")
    monkeypatch.chdir(history.path)

    def completed(*words: str) -> list[str]:
        env = {"COMP_WORDS": " ".join(("firstbad", *words)), "COMP_CWORD": str(len(words))}
        env["_FIRSTBAD_COMPLETE"] = "bash_complete"
        result = CliRunner().invoke(main, [], prog_name="git-firstbad", env=env)
        return [line.partition(",")[2] for line in result.output.splitlines()]

    assert completed("good", "v") == ["v1.0"]
    assert completed("skip", "v1.0..topic") == ["v1.0..topic/venus"]
    assert completed("goo") == ["good"]


def test_git_knows_the_subcommand(tmp_path):
    """`git firstbad` runs what is called git-firstbad on PATH, as the installed entry point is."""
    history = History(tmp_path / "repo")
    for number in range(3):
        history.commit(f"c{number}")
    history.git("reset", "-q", "--hard")
    script = tmp_path / "bin" / "git-firstbad"
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\nexec '{sys.executable}' -m firstbad \"$@\"\n")
    script.chmod(0o755)
    env = {**os.environ, "PATH": f"{script.parent}:{os.environ['PATH']}", "FIRSTBAD_HOME": str(tmp_path / "home")}
    words = ["git", "-C", str(history.path), "firstbad", "start", "HEAD", "HEAD~2"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    assert "Next: " in done.stdout
    assert history.git("rev-parse", "HEAD") == history.commits["c1"]
