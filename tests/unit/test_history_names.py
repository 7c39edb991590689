"""Tags, claims, patches and names, by small histories of real git."""

import pytest
from tests.support.histories import History

from firstbad.errors import UserError
from firstbad.history.claims import Claim, claims, who_fixes
from firstbad.history.git import Repo
from firstbad.history.names import is_branch, is_commit_hash, is_repo_address
from firstbad.history.patch import (
    AlreadyApplied,
    PatchError,
    check_patch,
    diff_files,
    patched_paths,
    patched_tree,
    read_patch,
)
from firstbad.history.releases import TagRule, parse_tag, previous_releases, releases_at

HASH = "54a4f0239f2e98bc0842818f611a4cf73bb7dd35"


def test_order_of_tags():
    tags = ["v6.2", "v6.1.5", "v6.1", "v6.1-rc10", "v6.1-rc3", "v2.6.12-rc2"]
    assert [release.tag for release in sorted(map(parse_tag, reversed(tags)), reverse=True)] == tags
    for tag in ("6.1", "v6", "v6.1foo", "v5x4", "v614", "v5-4", "v6.1-rc", "v5.10.1-rt1", "v6.1\n", "v" + "1" * 500):
        assert parse_tag(tag) is None, tag


def test_tags_of_a_vendor():
    rule = TagRule(["Ubuntu-{major}.{minor}.{patch}-{abi}.{upload}", "v{major}.{minor}"])
    old, new = rule.parse("Ubuntu-5.15.0-25.25"), rule.parse("Ubuntu-5.15.0-101.111")
    assert old < new
    assert new.version == (5, 15, 0)
    assert new.more == (101, 111)
    assert rule.parse("v5.15").final
    assert rule.parse("v5.15.3") is None
    by_date = TagRule(["ASB-{year}-{month}-{day}_13-{major}.{minor}"])
    assert by_date.parse("ASB-2023-09-05_13-5.15") < by_date.parse("ASB-2023-10-05_13-5.15")
    assert TagRule(["a.b{major}"]).parse("axb5") is None
    for pattern in ("v5", "v{major}{minor}", "v{major}.{major}", "*{major}", "v{major}\n"):
        with pytest.raises(UserError, match="release_tags"):
            TagRule([pattern])


def test_previous_releases_of_a_vendor(tmp_path):
    history = History(tmp_path / "repo")
    for number, title in enumerate("abcd"):
        history.commit(title)
        history.tag(f"acme-6.1.{number}-{7 + number}", title)
        history.tag(f"v6.{number}", title)
    repo, rule = Repo(history.path), TagRule(["acme-{major}.{minor}.{patch}-{build}"])
    found = previous_releases(repo, history.commits["d"], rule)
    assert [release.tag for release in found] == ["acme-6.1.2-9", "acme-6.1.1-8", "acme-6.1.0-7"]
    assert [release.tag for release in previous_releases(repo, history.commits["d"], oldest=(6, 1, 0))] == [
        "v6.2",
        "v6.1",
    ]
    assert [release.tag for release in releases_at(repo, history.commits["b"], rule)] == ["acme-6.1.1-8"]


@pytest.mark.parametrize(
    ("title", "body", "expected"),
    [
        ("x: y", f'Fixes: {HASH[:12]} ("KVM: MMU: make it (really) zap")', [("fixes", HASH[:12])]),
        ("x: y", f"fixes: commit {HASH}\nFixes: {HASH}", [("fixes", HASH)]),
        ("x: y", f"This is no tag: Fixes: {HASH}", []),
        ("x: y", "Fixes: a bug in abcdef\nFixes: https://bugzilla.kernel.org/1", []),
        ('Revert "x: y"', f"This reverts commit {HASH}.", [("reverts", HASH)]),
        ('UPSTREAM: Revert "x: y"', f"This reverts upstream\ncommit {HASH}, as it broke z.", [("reverts", HASH)]),
        ('Revert "x: y"', "It broke z.", [("reverts", "")]),
        ('Reapply "x: y"', "It was fine.", []),
    ],
)
def test_claims(title, body, expected):
    assert [(claim.kind, claim.hash) for claim in claims(title, f"{title}\n\n{body}\n")] == expected


def test_titles_of_claims():
    assert claims("x", f'x\n\nFixes: {HASH[:12]} ("a: \u201cb\u201d (c)")') == [
        Claim("fixes", HASH[:12], "a: \u201cb\u201d (c)".strip("\u201d"))
    ]
    assert claims('Revert "Revert "x: y""', "no more") == [Claim("reverts", "", 'Revert "x: y"')]


def test_who_fixes_whom(tmp_path):
    history = History(tmp_path / "repo")
    git = history.git

    def commit(message: str) -> str:
        git("commit", "-q", "--allow-empty", "-m", message)
        return git("rev-parse", "HEAD")

    base = commit("base")
    bug, other = commit("mm: bug"), commit("mm: other")
    fix = commit(f'mm: fix\n\nFixes: {bug[:12]} ("mm: bug")')
    revert = commit(f'Revert "mm: other"\n\nThis reverts commit {other}.')
    ported = commit('mm: fix in another tree\n\nFixes: 0123456789ab ("mm: bug")')
    commit(f'mm: fix of another with this title\n\nFixes: {base[:12]} ("mm: bug")')
    found = who_fixes(Repo(history.path), ["HEAD"], [base], [bug, other])
    assert found == {bug: [(fix, "fixes"), (ported, "fixes")], other: [(revert, "reverts")]}


def test_contains(tmp_path):
    history = History(tmp_path / "repo")
    for title in "ab":
        history.commit(title)
    history.commit("side", parents=["a"])
    repo = Repo(history.path)
    assert repo.contains(history.commits["b"], history.commits["a"])
    assert not repo.contains(history.commits["b"], history.commits["side"])
    assert not repo.contains("HEAD", "fake-hash")


def test_a_broken_date_is_no_failure(tmp_path):
    history = History(tmp_path / "repo")
    history.commit("a")
    tree = history.git("rev-parse", "HEAD^{tree}")
    import subprocess

    text = f"tree {tree}\nauthor A <a@b.c> 99999999999999999999 +0000\ncommitter A <a@b.c> 1 +0000\n\nodd\n"
    made = subprocess.run(
        ["git", "-C", str(history.path), "hash-object", "-t", "commit", "-w", "--stdin", "--literally"],
        input=text, text=True, check=True, capture_output=True,
    ).stdout.strip()  # fmt: skip
    found = Repo(history.path).commit(made)
    assert found.title == "odd"
    assert found.commit_date.timestamp() == 1


def test_names():
    assert is_repo_address("ssh://git@example.org:22/a/b.git")
    for text in (
        "/home/me/linux",
        "ext::sh -c id",
        "--upload-pack=id",
        "https://a b/",
        "git@host:/etc",
        "https://x/\n",
    ):
        assert not is_repo_address(text), text
    for text in ("-f", "a..b", "a b", "a.lock", "a/.b", "a/", "a^", "a:b", "\x7f", "a@{1}", "x" * 300, "a\n"):
        assert not is_branch(text), text
    assert is_commit_hash("a" * 64)
    for text in ("A" * 40, "a" * 41, "a" * 40 + "\n"):
        assert not is_commit_hash(text), text


PATCH = b"""diff --git a/x.c b/x.c
--- a/x.c
+++ b/x.c
@@ -1,3 +1,3 @@
 one
--- /a/comment/of/lua
+two
 three
"""


def test_paths_of_a_patch():
    assert patched_paths(PATCH) == ["x.c"]
    quoted = b'diff --git "a/\\303\\244.c" "b/\\303\\244.c"\nrename from "\\303\\244.c"\nrename to b.c\n'
    assert patched_paths(quoted) == ["\u00e4.c", "b.c"]
    assert patched_paths(b"--- x.c\t2024-01-01\n+++ x.c\t2024-01-02\n") == ["x.c"]


@pytest.mark.parametrize(
    "patch",
    [
        b"no patch at all\n",
        b"",
        b"--- /etc/passwd\n+++ /etc/passwd\n@@ -1 +1 @@\n-a\n+b\n",
        b"--- a/x/../../y\n+++ b/x/../../y\n",
        b'--- "a/\\056\\056/y"\n+++ "b/\\056\\056/y"\n',
        b"diff --git a/x b/.GIT/config\n",
        b"diff --git a/x b/y\nrename from x\nrename to sub/.git/hooks/z\n",
        b"@@ -1,9 +1,9 @@\ndiff --git a/x b/../y\n",
    ],
)
def test_patches_that_are_refused(patch):
    with pytest.raises(PatchError):
        check_patch(patch)


def test_a_patch_is_applied_whole_or_not_at_all(tmp_path):
    history = History(tmp_path / "repo")
    history.commit("a", {"x.c": "one\n-- /a/comment/of/lua\nthree\n"})
    beside = Repo(history.path).beside(tmp_path / "objects")
    tree = beside.tree(history.commits["a"])
    bad = PATCH + b"diff --git a/y.c b/y.c\n--- a/y.c\n+++ b/y.c\n@@ -1 +1 @@\n-a\n+b\n"
    with pytest.raises(PatchError, match=r"y\.c"):
        patched_tree(beside, tree, bad)
    made = patched_tree(beside, tree, PATCH)
    assert beside.blob(made, "x.c") == "one\ntwo\nthree\n"
    with pytest.raises(AlreadyApplied):
        patched_tree(beside, made, PATCH)


def test_a_symbolic_link_is_no_way_out(tmp_path):
    history = History(tmp_path / "repo")
    (history.path / "link").symlink_to(tmp_path)
    history.git("add", "link")
    tree = history.git("write-tree")
    beside = Repo(history.path).beside(tmp_path / "objects")
    assert beside.git("ls-tree", tree, "link").startswith("120000 ")
    with pytest.raises(PatchError, match="symbolic link"):
        patched_tree(beside, tree, b"--- /dev/null\n+++ b/link/out.c\n@@ -0,0 +1 @@\n+x\n")
    assert not (tmp_path / "out.c").exists()


def contents(history):
    return {path: path.read_bytes() for path in (history.path / ".git").rglob("*") if path.is_file()}


def test_a_patch_is_applied_to_a_tree_of_a_repository_that_stays_as_it_is(tmp_path):
    history = History(tmp_path / "repo")
    lines = [f"line {number}\n" for number in range(20)]
    history.commit("a", {"x.c": "".join(lines), "y.c": "y"})
    history.commit("b", {"x.c": "".join([*lines[:5], "new\n", *lines[6:]])})
    repo, commits = Repo(history.path), history.commits
    patch = repo.run("diff", "--full-index", commits["a"], commits["b"]).stdout
    history.commit("c", {"x.c": "first\n" + "".join(lines)}, parents=["a"])
    before = contents(history)
    beside = repo.beside(tmp_path / "objects")
    assert patched_tree(beside, repo.tree(commits["a"]), patch) == repo.tree(commits["b"])
    made = patched_tree(beside, repo.tree(commits["c"]), patch)
    assert beside.blob(made, "x.c") == "first\n" + "".join([*lines[:5], "new\n", *lines[6:]])
    assert repo.blob(made, "x.c") is None
    with pytest.raises(AlreadyApplied):
        patched_tree(beside, repo.tree(commits["b"]), patch)
    with pytest.raises(PatchError, match=r"x\.c"):
        patched_tree(beside, repo.tree(commits["c"]), patch.replace(b"line 4", b"line four"))
    assert contents(history) == before


def test_files_of_a_diff(tmp_path):
    history = History(tmp_path / "repo")
    history.commit("a", {"x y.c": "1\n", "\u00e4.c": "1\n", "b/ b.c": "1\n"})
    history.commit("b", {"x y.c": "2\n", "\u00e4.c": "2\n", "b/ b.c": "2\n"})
    text = Repo(history.path).git("diff", "HEAD~")
    left = Repo(history.path).git("rev-parse", "HEAD~:x y.c")
    found = diff_files(text)
    assert sorted(file.path for file in found) == ["b/ b.c", "x y.c", "\u00e4.c"]
    assert all(left.startswith(file.left) for file in found)


def test_reading_a_patch(tmp_path):
    with pytest.raises(UserError, match="no such patch"):
        read_patch(tmp_path / "none")
    (tmp_path / "large").write_bytes(b"--- a/x\n" + b"+" * (17 << 20))
    with pytest.raises(PatchError, match="larger"):
        read_patch(tmp_path / "large")
