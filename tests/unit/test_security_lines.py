"""SECURITY.md promises nothing that no test proves: each line of its tables names one that is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_NAME = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def rows() -> list[list[str]]:
    lines = (ROOT / "SECURITY.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")]
    return [row for row in cells if row[0] != "what they try" and not set(row[0]) <= {"-"}]


def test_there_are_lines():
    assert len(rows()) > 50


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][:60])
def test_each_line_names_one_test_that_is_there(row):
    assert len(row) == 3, row
    assert all(row), row
    named = _NAME.fullmatch(row[2].rstrip("| "))
    assert named, f"no test: {row[2]}"
    tree = ast.parse((ROOT / named[1]).read_text())
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert named[2] in functions, f"{named[1]} has no {named[2]}"
    assert any(isinstance(node, ast.Assert | ast.With | ast.Call) for node in ast.walk(functions[named[2]]))


def test_no_test_is_named_twice():
    names = [row[2] for row in rows()]
    assert sorted(set(names)) == sorted(names)
