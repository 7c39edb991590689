"""All benchmarks in one go: the list fits what there is, and what was run is not run again."""

import re
from importlib.util import find_spec
from pathlib import Path

from benchmarks.everything import Row, Task, run, table, tasks

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "benchmarks/everything.toml").read_text(encoding="utf-8")
PLACES = {"labelled": "/l", "cases": "/c", "clones": "/d", "out": "/o"}


def test_every_benchmark_is_there_and_on_the_page():
    every = list(tasks(TEXT, PLACES))
    assert len({task.title for task in every}) == len(every)
    for task in every:
        assert find_spec(f"benchmarks.{task.name}"), task.name
    page = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"`(\w+)", "".join(row.split("|")[1] for row in re.findall(r"(?m)^\| `.*$", page))))
    assert {task.name for task in every} | {"jobs"} <= listed


def test_what_needs_a_place_that_is_not_known_is_left_out():
    names = {task.name for task in tasks(TEXT, {"out": "/o"})}
    assert "limits" in names
    assert not names & {"audit", "identity", "any_project"}
    (given,) = (task for task in tasks(TEXT, PLACES) if task.name == "log_lines")
    assert given.command == "python -m benchmarks.log_lines /l/logs.tar.xz"


def test_one_is_run_once_and_says_how_it_went(tmp_path):
    log = tmp_path / "a.txt"
    log.write_text("no such line\n", encoding="utf-8")
    task = Task("lines", "log_lines", (str(log),))
    row = run(task, tmp_path)
    assert row.status == 1
    said = (tmp_path / "lines.txt").read_text(encoding="utf-8")
    assert said.startswith(f"$ {task.command}\n")
    assert "1 logs, 1 lines; unknown: 1" in said
    log.unlink()
    assert run(task, tmp_path) == row
    assert table([row]).endswith(f"| `{task.command}` | {row.day} | {row.seconds:.0f} | exit status 1 |\n")
    assert table([Row("a", "b", "2026-01-01", 1.4, 0)]).splitlines()[-1] == "| `b` | 2026-01-01 | 1 |  |"
