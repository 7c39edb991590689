"""`git bisect replay` on the demo's history, of a search for a cause and of one for a fix; no kernel is built."""

import subprocess
import sys

import pytest
from tests.support.lab import Lab
from tests.support.replay import replay
from tests.unit.test_session import bisect

from firstbad.demo import demo_job, make_demo
from firstbad.history.git import Repo
from firstbad.home import Home


@pytest.mark.parametrize("name", ["a", "g-fix"])
def test_git_ends_at_the_same_commit(place, tmp_path, name, monkeypatch):
    made = make_demo(place.root / "demo", 1)
    case, repo = made.cases[name], Repo(made.repo)
    monkeypatch.setenv("FIRSTBAD_HOME", str(tmp_path / "home"))

    def has_bug(commit: str) -> bool:
        return repo.is_ancestor(case.culprit, commit) != (case.kind == "fix")

    mine = Home(tmp_path / "home", 1 << 30)
    lab = Lab(tmp_path, has_bug, broken=frozenset(made.untestable))
    job = demo_job(made, case, 0.99).model_copy(update={"title": ""})
    finished, _, number = bisect(mine, job, lab)
    assert finished["commits"] == [case.culprit]
    words = [sys.executable, "-m", "firstbad", "log", "--git", str(number)]
    text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert f"{case.culprit} is the first bad commit" in replay(made.repo, text, tmp_path)
