"""Fixes for old trees: a peer's rules and list (``vcs_cases.json``), on small histories of real git."""

import json
from typing import Any

import pytest
from tests.support.histories import History
from tests.support.peer import shared

from firstbad.history.git import Repo
from firstbad.job import Build
from firstbad.kernel import data
from firstbad.kernel.fixes import Fixer, fixes_for


@pytest.fixture(scope="module")
def table() -> dict[str, Any]:
    return json.loads((shared() / "peer" / "vcs_cases.json").read_text())["backports"]


def test_the_list(table) -> None:
    ours = [(rule["commit"], rule.get("guilty"), rule["title"]) for rule in data.load("fixes.toml")["fix"]]
    for fix in table["builtin"]:
        assert (fix["fix"], fix["guilty"], fix["fix_title"]) in ours


def test_the_cases(table, tmp_path) -> None:
    history = History(tmp_path / "repo")
    history.commit("base", {"a.c": "1\n2\n3\n", "b.c": "base\n"})
    history.commit("guilty", {"a.c": "1\nbug\n3\n"})
    history.commit("fix guilty", {"a.c": "1\n2\n3\n"}, parents=["guilty"])
    history.commit("fix all", {"c.c": "fixed\n"}, parents=["base"])
    history.commit("without", {"b.c": "without\n"}, parents=["base"])
    history.commit("with", {"b.c": "with\n"}, parents=["guilty"])
    repo, commits = Repo(history.path), history.commits
    always = fixes_for(repo, Build(fixes=[{"commit": commits["fix all"]}]))
    sometimes = fixes_for(repo, Build(fixes=[{"commit": commits["fix guilty"], "guilty": commits["guilty"]}]))
    asked = {
        "unconditional": ("without", always),
        "guilty absent": ("without", sometimes),
        "guilty present": ("with", sometimes),
    }
    assert len(table["rules"]) == 4
    for case in table["cases"]:
        title, fixes = asked[case["name"]]
        source = Fixer(tmp_path / "objects").source(repo, commits[title], None, fixes)
        assert bool(source.applied) == case["expect_applied"], case
        assert (source.tree != repo.tree(commits[title])) == case["expect_applied"], case
        assert not source.error
