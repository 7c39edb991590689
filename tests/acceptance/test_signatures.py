"""Signatures of real kernels: equal wherever and however a commit is built, different when its code is.

Two compile caches that never exchange an object: what is found equal here was compiled twice.
"""

import os
import subprocess
from pathlib import Path

import pytest

from firstbad.demo import make_demo
from firstbad.history.git import Repo
from firstbad.kernel.artifacts import Artifacts
from firstbad.kernel.build import Builder, Spec

pytestmark = [pytest.mark.kernel, pytest.mark.optional]  # seven minutes: it builds a kernel four times from nothing

FILE = "kernel/time/posix-timers.c"
COMMENT = ("all the functions necessary to implement", "all the functions that implement")
CONSTANT = ("DEFINE_HASHTABLE(posix_timers_hashtable, 9)", "DEFINE_HASHTABLE(posix_timers_hashtable, 10)")


@pytest.fixture(scope="module")
def case(place):
    return make_demo(place.root / "demo", 1)


@pytest.fixture(scope="module")
def commits(case, tmp_path_factory) -> tuple[Repo, dict[str, str]]:
    """The parent of bug (a), a comment edit that keeps the line numbers, and one constant changed; in a clone."""
    path = tmp_path_factory.mktemp("edits") / "linux.git"
    subprocess.run(["git", "clone", "-q", "--bare", "--shared", case.repo, path], check=True)
    parent = Repo(path).resolve(case.where["a"] + "^")
    named = {"comment": COMMENT, "constant": CONSTANT}
    return Repo(path), {"parent": parent} | {name: edited(path, parent, *edit) for name, edit in named.items()}


def edited(repo: Path, parent: str, old: str, new: str) -> str:
    who = {
        f"GIT_{role}_{what}": f"{role}@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    env = {**os.environ, **who, "GIT_INDEX_FILE": str(repo / "edit.index")}

    def git(*command: str, stdin: bytes = b"") -> bytes:
        done = subprocess.run(["git", "-C", repo, *command], input=stdin, env=env, check=True, stdout=subprocess.PIPE)
        return done.stdout

    text = git("cat-file", "blob", f"{parent}:{FILE}").decode()
    assert text.count(old) == 1
    blob = git("hash-object", "-w", "--stdin", stdin=text.replace(old, new).encode()).decode().strip()
    git("read-tree", parent)
    git("update-index", "--cacheinfo", f"100644,{blob},{FILE}")
    tree = git("write-tree").decode().strip()
    return git("commit-tree", tree, "-p", parent, "-m", "edited").decode().strip()


def test_equal_wherever_and_however_it_is_built(place, case, commits, tmp_path):
    repo, named = commits
    spec = Spec(case.cases["a"].config.read_text(), "tinyconfig")
    assert "CONFIG_DEBUG_INFO_DWARF5=y" in spec.config, "paths in debug information are part of the question"

    def builder(name: str, ccache: Path) -> Builder:
        directory = tmp_path / name
        return Builder(directory, Artifacts(tmp_path / f"{directory.name}-artifacts", 1 << 40), ccache)

    one = builder("one", place.ccache)
    other = builder("other/directory/with/a/longer/name", place.root / "ccache-other")
    forth = {name: one.build(repo, named[name], spec).signature for name in ("comment", "parent", "constant")}
    back = {name: other.build(repo, named[name], spec).signature for name in ("constant", "parent")}
    clean = other.build(repo, named["parent"], spec, fresh="clean")
    assert clean.error == ""
    assert not clean.cached
    assert {forth["parent"], back["parent"], clean.signature} == {clean.signature}
    assert forth["constant"] == back["constant"]
    assert forth["comment"] == forth["parent"]
    assert forth["constant"] != forth["parent"]
