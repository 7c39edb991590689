"""The changes that docs/contributing.md shows, put into a copy of the tree and used there."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from tests.support.pages import ROOT

PAGE = (ROOT / "docs" / "contributing.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"<!-- (append|file|replace in)[: ]+(\S+?)(?:: (.*?))? -->\n```\w+\n(.*?)```", re.S)


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def apply(copy, head):
    """Make the changes under a heading; lines and files that are touched."""
    part = PAGE[PAGE.index(f"## {head}") :].split("\n## ", 2)
    text = part[0] if part[0].startswith("## ") else part[1]
    lines, files = 0, set()
    for how, name, old, block in BLOCK.findall(text):
        file = copy / name
        lines += sum(bool(line.strip()) for line in block.splitlines())
        files.add(name)
        if how == "append":
            file.write_text(file.read_text() + "\n" + block)
        elif how == "file":
            file.write_text(block)
        else:
            before = file.read_text().splitlines(keepends=True)
            at = next(i for i, line in enumerate(before) if old in line)
            file.write_text("".join([*before[:at], block, *before[at + 1 :]]))
    return lines, len(files)


def told(head):
    """What the table says of a change."""
    row = re.search(rf"^\| {head.lower()} \| (\d+) \| (\d+) \|$", PAGE, re.M)
    assert row
    return int(row[1]), int(row[2])


def python(copy, code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(copy / "src"), **environment},
        capture_output=True,
        text=True,
        cwd=copy,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_new_oops_format(copy):
    assert apply(copy, "A new oops format") == told("A new oops format")
    code = """
from firstbad.crash.formats import load
from firstbad.crash.parse import parse
for one in load().formats:
    report = parse(one.example.encode())
    assert report is not None and report.title == one.expect, (one.id, report)
print(one.expect)
"""
    assert python(copy, code).strip() == "LOCKSTEP: cores differ in widget_turn"


def test_a_new_compiler(copy):
    assert apply(copy, "A new compiler") == told("A new compiler")
    code = """
from firstbad.kernel.toolchain import candidates
for release in ((6, 11, 0), (6, 12, 0), (7, 0, 0)):
    print("gcc-99" in [rule["name"] for rule in candidates(release)])
"""
    assert python(copy, code).split() == ["False", "True", "False"]


def test_a_new_backend(copy):
    assert apply(copy, "A new backend") == told("A new backend")
    board = copy / "board"
    board.write_text('#!/bin/sh\necho "$1" | grep -q bad && echo "Kernel panic - not syncing: widget"\nexit 0\n')
    board.chmod(0o755)
    code = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from firstbad.engine import RunRequest
from firstbad.engine.board import BoardEngine
from firstbad.session import lab
from firstbad.vm import MachineConfig
assert lab.BoardEngine is BoardEngine
engine = BoardEngine.__new__(BoardEngine)  # without a builder: no kernel is built here
engine._runs = ThreadPoolExecutor(1)
for kernel in ("bad", "good"):
    run = engine.run(RunRequest(Path(kernel), Path("consoles") / kernel, MachineConfig())).result()
    print(run.ended, run.booted, len(Path("consoles", kernel).read_bytes()) == len(run.console))
"""
    said = python(copy, code, FIRSTBAD_BOARD=str(board)).split("\n")
    assert said[:2] == ["panic True True", "finished True True"]
