"""A peer's facts about tags, commits, patches and histories (``vcs_cases.json``): every section, or why not.

The data is not part of the project (tests/support/peer.py). What is checked elsewhere is named in ELSEWHERE.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.histories import History
from tests.support.lab import Lab
from tests.support.peer import shared

from firstbad.history.git import Repo
from firstbad.history.names import is_branch, is_commit_hash, is_repo_address
from firstbad.history.patch import PatchError, diff_files, patched_tree
from firstbad.history.releases import parse_tag, previous_releases, releases_at
from firstbad.history.repository import GitHistory
from firstbad.home import Home
from firstbad.job import Job
from firstbad.report.recipients import recipients
from firstbad.session import Bisection
from firstbad.store import Store

HERE = {
    "release_tags", "commit_parse", "contains_cases", "merge_base_cases", "git_bisect_cases", "predicates",
    "patch_apply", "git_diff_files",
}  # fmt: skip
PEOPLE, FIXES, RULES = "test_peer_people.py", "test_peer_fixes.py", "test_peer_rules.py"
ELSEWHERE = {
    "commit_metadata": PEOPLE,
    "canonicalize_title": PEOPLE,
    "titles_lookup_cases": PEOPLE,
    "maintainers": PEOPLE,
    "links": PEOPLE,
    "backports": FIXES,
    "compiler_by_tag": RULES,
    "config_by_tag": RULES,
    "sanitizer_drop": RULES,
}
# Within sections that are checked, what is not, and why.
LEFT_OUT = {
    "source": "says where the facts are from",
    "release_tags: v5x4, v614, v5-4": "the peer takes any character for a dot; its own note says not to copy that",
    "release_tags: int, int_rc": "how the peer packs a release into one number; the order is checked",
    "release_tags: cut only at that very tag": "ours is by version: it works where the tag itself is missing",
    "git_bisect_cases": "no `git bisect` runs inside us; the same answers are asked of our search",
}  # fmt: skip


@pytest.fixture(scope="module")
def table() -> dict[str, Any]:
    return json.loads((shared() / "peer" / "vcs_cases.json").read_text())


def test_every_section_is_checked_or_left_out_with_a_reason(table) -> None:
    named = HERE | set(ELSEWHERE) | {name for name in LEFT_OUT if name in table}
    assert set(table) == named
    assert {word for name in globals() if name.startswith("test_") for word in HERE if word in name} >= HERE
    for name, file in ELSEWHERE.items():
        text = Path(__file__).with_name(file).read_text()
        assert f'"{name}"' in text, f"{file} does not speak of {name}"


def test_release_tags_parsed(table) -> None:
    copied = {"v5x4", "v614", "v5-4"}
    rows = table["release_tags"]["parse_cases_observed"]
    assert len(rows) > 25
    for row in rows:
        found = parse_tag(row["tag"])
        if row["v1"] < 0 or row["tag"] in copied:
            assert found is None, row["tag"]
            continue
        assert found is not None, row["tag"]
        assert found.version == (row["v1"], row["v2"], max(row["v3"], 0))
        assert found.final == (row["rc"] < 0)
        assert found.final or found.rc == row["rc"]
    parsed = [(row["int_rc"], parse_tag(row["tag"])) for row in rows if row["v1"] >= 0 and row["tag"] not in copied]
    for number, one in parsed:
        for other_number, other in parsed:
            if number < other_number:
                assert one < other, (one, other)


def test_release_tags_sorted(table) -> None:
    for case in table["release_tags"]["sort_cases"]:
        found = sorted(filter(None, map(parse_tag, case["input"].split("\n"))), reverse=True)
        assert [release.tag for release in found] == case["expect_with_rc"]
        assert [release.tag for release in found if release.final] == case["expect_no_rc"]


def test_release_tags_before_a_commit(table, tmp_path) -> None:
    """The rules in words: ancestors' tags only, none at the commit itself, no candidates, a cut at the old end."""
    assert len(table["release_tags"]["previous_tags_rules"]) == 5
    history = History(tmp_path / "repo")
    for title in ("a", "b", "c", "d"):
        history.commit(title)
    history.commit("side", parents=["a"])
    for tag, title in (("v4.18", "a"), ("v4.19", "b"), ("v5.0-rc1", "side"), ("v5.0", "d"), ("v5.1", "side")):
        history.tag(tag, title)
    history.git("tag", "-a", "-m", "annotated", "v4.19.1", history.commits["c"])
    kept, commits = GitHistory(Repo(history.path)), history.commits
    assert [tag for tag, _ in kept.releases(commits["d"])] == ["v4.19.1", "v4.19", "v4.18"]
    assert [tag for tag, _ in kept.releases(commits["c"])] == ["v4.19", "v4.18"]
    assert kept.tag(commits["d"]) == "v5.0"
    assert kept.tag(commits["c"]) == "v4.19.1"
    assert [release.tag for release in releases_at(Repo(history.path), commits["side"])] == ["v5.1", "v5.0-rc1"]
    cut = previous_releases(Repo(history.path), commits["d"], oldest=(4, 19, 0))
    assert [release.tag for release in cut] == ["v4.19.1", "v4.19"]


def test_release_tags_of_a_remote(table, tmp_path) -> None:
    case = table["release_tags"]["remote_tags_case"]
    remote = History(tmp_path / "remote")
    remote.commit("A")
    remote.tag("v1.0", "A")
    remote.commit("B")
    remote.tag("v2.0", "B")
    remote.git("branch", "sub_branch", remote.commits["B"])
    remote.git("update-ref", "refs/heads/master", remote.commits["A"])
    clone = History(tmp_path / "clone")
    clone.git("fetch", "-q", str(remote.path), "sub_branch", "--tags")
    clone.git("checkout", "-q", "FETCH_HEAD")
    repo = Repo(clone.path)
    found = [*releases_at(repo, "HEAD"), *previous_releases(repo, "HEAD")]
    assert sorted(release.tag for release in found) == case["expect_tags_of_head_incl_self_sorted"]


def test_commit_parse(table, tmp_path) -> None:
    """The commit is written by git and read back by us."""
    for case in table["commit_parse"]:
        _, title, email, name, date, _, commit_date, body = case["input"].split("\n", 7)
        history = History(tmp_path / "repo")
        history.git("commit", "-q", "--allow-empty", "-m", f"{title}\n\n{body}", GIT_AUTHOR_NAME=name,
                    GIT_AUTHOR_EMAIL=email, GIT_AUTHOR_DATE=date, GIT_COMMITTER_DATE=commit_date)  # fmt: skip
        got, expected = Repo(history.path).commit("HEAD"), case["expect"]
        assert (got.title, got.author_email, got.author_name) == (title, expected["author"], expected["author_name"])
        assert got.date == datetime.fromisoformat(expected["date"])
        assert got.commit_date == datetime.fromisoformat(expected["commit_date"])
        assert got.date.isoformat() == expected["date"], "in the author's own time zone"
        assert got.hash == history.git("rev-parse", "HEAD")
        to, cc = recipients(got.message, got.author_email)
        assert cc == []
        assert to == [who["address"] for who in expected["recipients"] if who["type"] == "To"]


def test_contains_cases(table, tmp_path) -> None:
    assert len(table["contains_cases"]) == 3
    history = History(tmp_path / "repo")
    history.commit("a")
    history.commit("other", parents=["a"])
    history.commit("b", parents=["a"])
    repo = Repo(history.path)
    assert repo.contains("HEAD", history.commits["b"])
    assert repo.contains("HEAD", history.commits["a"])
    assert not repo.contains("HEAD", "fake-hash")
    assert not repo.contains("HEAD", history.commits["other"])


def test_merge_base_cases(table, tmp_path) -> None:
    assert len(table["merge_base_cases"]) == 3
    history = History(tmp_path / "repo")
    history.commit("base")
    history.commit("fork", parents=["base"])
    history.commit("newBase", parents=["base"])
    history.commit("newFork", parents=["fork"])
    history.commit("merge", parents=["newFork", "newBase"])
    history.commit("newNewFork", parents=["merge"])
    kept, commits = GitHistory(Repo(history.path)), history.commits
    asked = (("base", "fork", "base"), ("newBase", "newFork", "base"), ("newBase", "newNewFork", "newBase"))
    for (one, other, expected), case in zip(asked, table["merge_base_cases"], strict=True):
        assert case["ask"] == [one, other]
        assert case["expect"] == [expected]
        assert kept.merge_bases(commits[one], commits[other]) == (commits[expected],)


class Nobody:
    def event(self, event, state) -> None: ...
    def activity(self, text) -> None: ...


def test_git_bisect_cases(table, tmp_path) -> None:
    """The same verdicts, given by a lab that plays kernels, lead our search to the same set."""
    cases = table["git_bisect_cases"]["cases"]
    assert len(cases) == 6
    for number, case in enumerate(cases):
        history = History(tmp_path / str(number) / "repo")
        names = [history.commit(str(i)) for i in range(5)]
        bad = {names[4]} | {names[int(i)] for i, verdict in case["verdict"].items() if verdict == "bad"}
        broken = frozenset(names[int(i)] for i, verdict in case["verdict"].items() if verdict == "skip")
        place = Home(tmp_path / str(number) / "home", 1 << 30)
        config = tmp_path / str(number) / "config"
        config.write_text("")
        job = Job(repo=history.path, config=config, repro=config, commit=names[4], good=[names[0]], priors=False)
        store = Store(place.database)
        lab = Lab(tmp_path / "artifact", bad.__contains__, broken=broken)
        found = Bisection(store, store.submit(job), place, Nobody(), engine=lambda home, job, lab=lab: lab).run()
        assert sorted(names.index(commit) for commit in found["commits"]) == case["expect"], case


def test_predicates(table) -> None:
    checks = {"repo_address": is_repo_address, "branch": is_branch, "commit_hash": is_commit_hash}
    assert set(table["predicates"]) == set(checks)
    for name, check in checks.items():
        assert {text: check(text) for text in table["predicates"][name]} == table["predicates"][name]


def test_patch_apply(table, tmp_path) -> None:
    case = table["patch_apply"]
    history = History(tmp_path / "repo")
    history.commit("a", {case["file"]: case["content"]})
    beside = Repo(history.path).beside(tmp_path / "objects")
    made = patched_tree(beside, beside.tree(history.commits["a"]), case["patch"].encode())
    assert beside.blob(made, case["file"]) == case["expect"]
    with pytest.raises(PatchError, match=case["second_apply_error"]):
        patched_tree(beside, made, case["patch"].encode())
    for patch in case["must_fail"]:
        with pytest.raises(PatchError):
            patched_tree(beside, made, patch.encode())


def test_git_diff_files(table) -> None:
    case = table["git_diff_files"]
    assert [[file.path, file.left] for file in diff_files(case["input"])] == case["expect"]
