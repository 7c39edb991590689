"""Ranges from git's commit-graph file against `git rev-list`, on real repositories and on spoiled files."""

import os
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstbad.errors import FirstbadError
from firstbad.history import walk
from firstbad.history.commit_graph import open_commit_graph, read_commit_graph
from firstbad.history.git import Repo
from firstbad.history.graph import read_range

#    0 - 1 - 2 - 3 ----- 7 - 8 - 9 - 10
#     \       \   \     / /         /
#      4 - 5 - 6 --+---+-+ (octopus)
#       \___________________________ 11 is beside the tip
ROWS = [[], [0], [1], [2], [0], [4], [5, 2], [3, 6, 5, 4], [7], [8], [9, 6], [4]]


def git(path, *args):
    done = subprocess.run(
        ["git", "-C", str(path), *args],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"},
    )
    return done.stdout.strip()


def made(path, rows, *, sha256=False):
    """A bare repository with one commit per row; returns the hashes. Every commit has a branch of its own."""
    path.mkdir(parents=True)
    git(path, "init", "-q", "--bare", *(["--object-format=sha256"] if sha256 else []), ".")
    lines = []
    for i, row in enumerate(rows):
        words = [f"{'merge' if k else 'from'} :{p + 1}\n" for k, p in enumerate(row)]
        lines.append(f"commit refs/heads/c{i}\nmark :{i + 1}\ncommitter a <a@b> {1_700_000_000 + i} +0000\ndata 0\n")
        lines += words
    subprocess.run(
        ["git", "-C", str(path), "fast-import", "--quiet"], input="".join(lines).encode(), check=True, env=os.environ
    )
    return [git(path, "rev-parse", f"c{i}") for i in range(len(rows))]


def write_graph(path, *words):
    git(path, "commit-graph", "write", "--reachable", *words)


def by_git(repo, tip, excluded):
    """The same range by rev-list: what `read_range` must give from the file too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "open_commit_graph", lambda repo: None)
        return read_range(repo, tip, excluded)


def same(one, other):
    return (
        list(one.hashes) == list(other.hashes)
        and [tuple(row) for row in one.parents] == [tuple(row) for row in other.parents]
        and one.boundary == other.boundary
    )


def check(path, tip, excluded, monkeypatch):
    """From the file, without asking rev-list, and equal to rev-list's own answer."""
    repo = Repo(path)
    expected = by_git(repo, tip, excluded)
    monkeypatch.setattr(walk, "_from_git", None)
    assert same(read_range(repo, tip, excluded), expected)
    return expected


@pytest.mark.parametrize("sha256", [False, True])
@pytest.mark.parametrize(("tip", "excluded"), [(10, [0]), (10, [3]), (10, [8, 11]), (7, []), (6, [1]), (10, [4, 3])])
def test_file_and_git_agree(tmp_path, monkeypatch, sha256, tip, excluded):
    commits = made(tmp_path / "repo", ROWS, sha256=sha256)
    write_graph(tmp_path / "repo")
    found = check(tmp_path / "repo", commits[tip], [commits[i] for i in excluded], monkeypatch)
    assert found.hashes[found.tip] == commits[tip]
    assert all(parent < child for child, row in enumerate(found.parents) for parent in row)
    wanted = git(tmp_path / "repo", "rev-list", commits[tip], *(f"^{commits[i]}" for i in excluded)).split()
    inside = set(range(len(found.hashes))) - found.boundary
    assert {found.hashes[i] for i in inside} == set(wanted)
    for i in inside:
        row = ROWS[commits.index(found.hashes[i])]
        assert [found.hashes[p] for p in found.parents[i]] == [commits[p] for p in row]
    assert {commits[i] for i in excluded} <= {found.hashes[i] for i in found.boundary}


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_random_histories(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("random") / "repo"
    n = data.draw(st.integers(2, 25))
    rows = [data.draw(st.lists(st.integers(0, i - 1), max_size=4, unique=True)) if i else [] for i in range(n)]
    commits = made(path, rows)
    write_graph(path)
    repo, excluded = Repo(path), [commits[i] for i in data.draw(st.lists(st.integers(0, n - 2), max_size=2))]
    try:
        expected = by_git(repo, commits[-1], excluded)
    except FirstbadError:
        return
    graph = open_commit_graph(repo)
    part = walk._from_file(repo, graph, commits[-1], excluded)
    assert len(part.names) == len(expected.hashes) - len(expected.boundary)
    assert same(read_range(repo, commits[-1], excluded), expected)


def test_arrays_are_git_s_parents(tmp_path):
    path = tmp_path / "repo"
    commits = made(path, ROWS)
    write_graph(path)
    graph = open_commit_graph(Repo(path))
    position = graph.find(commits).tolist()
    assert sorted(position) == list(range(len(ROWS)))
    assert [row.tobytes().hex() for row in graph.names(np.array(position))] == commits
    for i, row in enumerate(ROWS):
        begin, end = graph.offsets[position[i] : position[i] + 2]
        assert graph.parents[begin:end].tolist() == [position[p] for p in row]
        level = max((graph.generations[position[p]] for p in row), default=0) + 1
        assert graph.generations[position[i]] == level
    assert graph.find(["0" * 40, "f" * 40, "ab" * 32]).tolist() == [-1, -1, -1]


def test_chain_of_files_and_commits_newer_than_it(tmp_path, monkeypatch):
    path = tmp_path / "repo"
    commits = made(path, ROWS)
    for tips in ((3,), (3, 7), (3, 7, 9)):
        names = "".join(f"{commits[tip]}\n" for tip in tips)
        subprocess.run(
            ["git", "-C", str(path), "commit-graph", "write", "--split=no-merge", "--stdin-commits"],
            input=names.encode(),
            check=True,
        )
    graph = open_commit_graph(Repo(path))
    assert len(graph.layers) == 3
    assert graph.find([commits[10], commits[11]]).tolist() == [-1, -1]
    check(path, commits[10], [commits[1], commits[11]], monkeypatch)


def test_more_new_commits_than_are_worth_asking_for(tmp_path, monkeypatch):
    path = tmp_path / "repo"
    commits = made(path, [[], *([i] for i in range(20))])
    subprocess.run(
        ["git", "-C", str(path), "commit-graph", "write", "--stdin-commits"], input=commits[2].encode(), check=True
    )
    repo = Repo(path)
    assert open_commit_graph(repo).total == 3
    monkeypatch.setattr(walk, "_NEWEST", (4, 8))
    assert walk._from_file(repo, open_commit_graph(repo), commits[-1], [commits[0]]) is None
    assert same(read_range(repo, commits[-1], [commits[0]]), by_git(repo, commits[-1], [commits[0]]))
    assert walk._from_file(repo, open_commit_graph(repo), commits[9], [commits[0]]) is not None


def test_borrowed_objects(tmp_path, monkeypatch):
    commits = made(tmp_path / "repo", ROWS)
    write_graph(tmp_path / "repo")
    git(tmp_path, "clone", "-q", "--shared", "--bare", str(tmp_path / "repo"), str(tmp_path / "copy"))
    check(tmp_path / "copy", commits[10], [commits[0]], monkeypatch)


def _shallow(path, commits):
    git(path.parent, "clone", "-q", "--bare", "--depth=3", "--branch=c10", path.as_uri(), str(path.parent / "shallow"))
    (path.parent / "shallow/objects/info").mkdir(exist_ok=True)
    (path.parent / "shallow/objects/info/commit-graph").write_bytes((path / "objects/info/commit-graph").read_bytes())
    return path.parent / "shallow"


def _replaced(path, commits):
    git(path, "replace", "--graft", commits[9], commits[3])
    return path


def _grafted(path, commits):
    (path / "info/grafts").write_text(f"{commits[9]} {commits[3]}\n")
    return path


def _unwanted(path, commits):
    git(path, "config", "core.commitGraph", "false")
    return path


@pytest.mark.parametrize("change", [_shallow, _replaced, _grafted, _unwanted])
def test_left_aside_where_git_leaves_it_aside(tmp_path, change):
    commits = made(tmp_path / "repo", ROWS)
    write_graph(tmp_path / "repo")
    assert open_commit_graph(Repo(tmp_path / "repo")) is not None
    repo = Repo(change(tmp_path / "repo", commits))
    assert open_commit_graph(repo) is None
    found = read_range(repo, commits[10], [])
    wanted = git(repo.path, "rev-list", commits[10]).split()
    assert {found.hashes[i] for i in range(len(found.hashes)) if i not in found.boundary} == set(wanted)


def spoiled(path, content):
    file = path / "objects/info/commit-graph"
    file.unlink(missing_ok=True)
    file.write_bytes(content)


def test_truncated_anywhere(tmp_path):
    path = tmp_path / "repo"
    commits = made(path, ROWS)
    write_graph(path)
    whole = (path / "objects/info/commit-graph").read_bytes()
    for length in range(0, len(whole), 11):
        spoiled(path, whole[:length])
        with pytest.raises(ValueError, match=r"\w+"):
            read_commit_graph(path / "objects")
    repo = Repo(path)
    assert open_commit_graph(repo) is None
    assert len(read_range(repo, commits[10], [commits[0]]).hashes) == 11


def test_any_byte_spoiled(tmp_path):
    """Either the file is refused or it gives a graph whose arrays hold together; never another error."""
    path = tmp_path / "repo"
    commits = made(path, ROWS)
    write_graph(path)
    whole = (path / "objects/info/commit-graph").read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for place in [*range(160), *rng.integers(0, len(whole), 400).tolist()]:
        bad = bytearray(whole)
        bad[place] ^= int(rng.integers(1, 256))
        spoiled(path, bytes(bad))
        try:
            graph = read_commit_graph(path / "objects")
        except ValueError:
            refused += 1
            continue
        assert graph.offsets[-1] == len(graph.parents)
        assert not graph.parents.size or 0 <= graph.parents.min() <= graph.parents.max() < graph.total
        graph.find(commits)
    assert refused > 100


@pytest.mark.parametrize("content", [b"../../../etc/passwd\n", b"", b"\xff\xfe", b"0" * 39 + b"\n", b"a" * 40 + b"\n"])
def test_odd_chain(tmp_path, content):
    path = tmp_path / "repo"
    made(path, ROWS)
    place = path / "objects/info/commit-graphs"
    place.mkdir(parents=True)
    (place / "commit-graph-chain").write_bytes(content)
    assert open_commit_graph(Repo(path)) is None


def test_range_reads_like_tuples(tmp_path):
    path = tmp_path / "repo"
    commits = made(path, ROWS)
    found = read_range(Repo(path), commits[10], [commits[0]])
    assert found.hashes[1:3] == tuple(found.hashes)[1:3]
    assert found.parents[-1] == tuple(found.parents)[-1]
    assert {name: found.index[name] for name in found.index} == {name: i for i, name in enumerate(found.hashes)}
    for odd in ("0" * 40, "no hash", "", "ab" * 32):
        assert odd not in found.index
        assert found.index.get(odd) is None
    offsets, flat = found.arrays()
    rows = [tuple(flat[offsets[i] : offsets[i + 1]].tolist()) for i in range(len(found.hashes))]
    assert rows == list(found.parents)
