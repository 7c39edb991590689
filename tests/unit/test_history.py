"""History by real git: ranges, releases, checkouts."""

import os

import numpy as np
import pytest
from tests.support.histories import History

from firstbad.errors import NotFoundError, UserError
from firstbad.history.git import Repo
from firstbad.history.graph import Index, Names, read_range, titles, touched_files
from firstbad.history.releases import base_release, parse_tag, previous_releases
from firstbad.history.worktree import checkout


@pytest.fixture
def history(tmp_path):
    r"""a - b - c - m - e, with s1 - s2 from a to m; v6.1 at b."""
    made = History(tmp_path / "repo")
    made.commit("a", {"x.c": "one", "d/y.c": "one", "Makefile": "VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 0\n"})
    made.commit("b", {"x.c": "two"})
    made.tag("v6.1", "b")
    made.commit("s1", {"s.c": "one"}, parents=["a"])
    made.commit("s2", {"s.c": "two"}, parents=["s1"])
    made.commit("c", {"d/y.c": "two"}, parents=["b"])
    made.commit("m", {"x.c": "two"}, parents=["c", "s2"])
    made.commit("e", {"x.c": "three"}, parents=["m"])
    return made


def test_range_holds_the_commits_and_their_boundary(history):
    commits = history.commits
    found = read_range(Repo(history.path), commits["e"], [commits["b"]])
    assert {found.hashes[i] for i in found.boundary} == {commits["b"], commits["a"]}
    assert set(found.hashes) == set(commits.values())
    assert found.hashes[found.tip] == commits["e"]
    merge = found.index[commits["m"]]
    assert [found.hashes[i] for i in found.parents[merge]] == [commits["c"], commits["s2"]]
    assert all(parent < child for child, row in enumerate(found.parents) for parent in row)


def test_a_hash_that_ends_in_zeros_is_found():
    raw = np.frombuffer(b"".join(bytes([i]) * (20 - i) + bytes(i) for i in range(1, 4)), dtype=np.uint8)
    names = Names(raw.reshape(-1, 20))
    index = Index(names)
    assert [index[name] for name in names] == [0, 1, 2]
    assert "01" * 20 not in index


def test_empty_range(history):
    with pytest.raises(UserError, match="no commits to search"):
        read_range(Repo(history.path), history.commits["b"], [history.commits["b"]])


def test_titles_and_touched_files(history):
    repo, commits = Repo(history.path), history.commits
    assert titles(repo, [commits["s1"], commits["m"]]) == {commits["s1"]: "s1", commits["m"]: "m"}
    touched = touched_files(repo, commits["e"], [commits["b"]])
    assert touched[commits["c"]] == {"d/y.c"}
    assert touched[commits["s2"]] == {"s.c"}
    assert commits["m"] not in touched


def test_resolve(history):
    repo = Repo(history.path)
    assert repo.resolve("v6.1") == history.commits["b"]
    assert repo.resolve("master~1") == history.commits["m"]
    with pytest.raises(NotFoundError, match="unknown revision: v9"):
        repo.resolve("v9")
    for bad in ("--all", "-h", "", " "):
        with pytest.raises(UserError, match="not a revision"):
            repo.resolve(bad)


def test_commit_facts(history):
    found = Repo(history.path).commit("master")
    assert (found.title, found.author_email) == ("e", "dev@example.org")
    assert found.message == "e\n\nSigned-off-by: A Developer <dev@example.org>"
    assert found.parents == (history.commits["m"],)


@pytest.mark.parametrize(
    ("older", "newer"), [("v5.19", "v6.0"), ("v6.1-rc3", "v6.1"), ("v6.1", "v6.1.5"), ("v6.1.9", "v6.1.10"),
                         ("v6.9", "v6.10"), ("v6.1-rc2", "v6.1-rc10")]
)  # fmt: skip
def test_releases_are_ordered(older, newer):
    first, second = parse_tag(older), parse_tag(newer)
    assert first is not None
    assert second is not None
    assert first < second


def test_what_is_no_release():
    assert [parse_tag(name) for name in ("v6", "next-20240101", "v6.1-rc", "6.1", "v6.1-foo")] == [None] * 5


def test_releases_before_a_commit(history):
    repo = Repo(history.path)
    history.tag("v6.2-rc1", "c")
    history.tag("v6.2", "e")
    assert [release.tag for release in previous_releases(repo, history.commits["e"])] == ["v6.1"]
    assert previous_releases(repo, history.commits["s2"]) == []


def test_release_of_a_tree_without_tags_is_its_makefile(history):
    repo = Repo(history.path)
    tagged, untagged = base_release(repo, history.commits["c"]), base_release(repo, history.commits["s1"])
    assert tagged is not None
    assert tagged.tag == "v6.1"
    assert untagged is not None
    assert untagged.version == (6, 1, 0)


def files_of(directory):
    return {str(path.relative_to(directory)): path.read_text() for path in directory.rglob("*") if path.is_file()}


def test_checkout_is_exact_and_keeps_unchanged_files(history, tmp_path):
    repo, tree = Repo(history.path), tmp_path / "builder" / "src"
    checkout(repo, tree, history.commits["b"])
    assert files_of(tree)["x.c"] == "two"
    os.utime(tree / "d/y.c", (1, 1))
    (tree / "leftover.c").write_text("from a build")
    (tree / "x.c").write_text("changed by somebody")
    checkout(repo, tree, history.commits["s2"])
    assert files_of(tree) == {"x.c": "one", "d/y.c": "one", "s.c": "two", "Makefile": files_of(tree)["Makefile"]}
    checkout(repo, tree, history.commits["b"])
    assert "s.c" not in files_of(tree)
    assert history.git("worktree", "list").count("\n") == 0, "the repository is not written to"


def test_checkout_keeps_times_of_unchanged_files(history, tmp_path):
    repo, tree = Repo(history.path), tmp_path / "src"
    checkout(repo, tree, history.commits["a"])
    before = (tree / "d/y.c").stat().st_mtime_ns
    checkout(repo, tree, history.commits["b"])
    assert (tree / "d/y.c").stat().st_mtime_ns == before


def test_checkout_after_a_killed_git(history, tmp_path):
    repo, tree = Repo(history.path), tmp_path / "src"
    checkout(repo, tree, history.commits["a"])
    (tmp_path / "src.index.lock").touch()
    checkout(repo, tree, history.commits["b"])
    (tmp_path / "src.index").write_bytes(b"spoiled")
    checkout(repo, tree, history.commits["c"])
    assert files_of(tree)["d/y.c"] == "two"


def test_one_work_tree_serves_two_repositories(history, tmp_path):
    other = History(tmp_path / "other")
    other.commit("z", {"z.c": "z"})
    tree = tmp_path / "src"
    checkout(Repo(history.path), tree, history.commits["c"])
    checkout(Repo(other.path), tree, other.commits["z"])
    assert files_of(tree) == {"z.c": "z"}
