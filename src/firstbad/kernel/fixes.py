"""Fixes for old trees: which ones a revision needs, and the tree that it is built from with them.

Nothing is applied to a work tree, so nothing has to be undone: with its fixes a revision is another tree, whose new
files lie in a directory beside the repository, which is only read. What is built from equal trees is equal.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from firstbad.disk import bytes_of_files
from firstbad.errors import InfrastructureError, UserError
from firstbad.history.git import Repo
from firstbad.history.patch import AlreadyApplied, PatchError, patched_tree, read_patch
from firstbad.history.titles import canonical_title, titled
from firstbad.job import Build
from firstbad.kernel import data

_MOST_OBJECTS = 256 << 20  # bytes of patched files that are kept
_FIRST = datetime(2005, 4, 16, tzinfo=UTC)  # of 1da177e4c3f4, Linux-2.6.12-rc2
_BEFORE = timedelta(days=365)  # a fix may have been taken over before it was committed upstream, but not long before


@dataclass(frozen=True)
class Fix:
    """A commit that is cherry-picked, or a patch, with the bounds within which a tree needs it."""

    name: str
    """As it is told to people: ``1d489151e9f9 ("objtool: ...")``, or a file's name."""
    commit: str = ""
    """Full hash; empty for a patch."""
    patch: bytes = b""
    title: str = ""
    guilty: str = ""
    bounds: tuple[tuple[str, str], ...] = ()

    def within(self, version: data.Version | None) -> bool:
        """Whether its ``from`` and ``until`` hold the release."""
        return data.applies(dict(self.bounds), version)


@dataclass(frozen=True)
class Source:
    """What a revision is built from: a tree of ``repo``, with these fixes. ``error``: one that does not apply."""

    repo: Repo
    tree: str
    applied: tuple[str, ...] = ()
    error: str = ""


def fixes_for(repo: Repo, build: Build) -> tuple[Fix, ...]:
    """The built-in fixes that the repository holds, then the job's own. Raises UserError for an unusable one."""
    rules = data.load("fixes.toml")["fix"] if build.builtin_fixes else []
    there = _existing(repo, [rule["commit"] for rule in rules])
    found = [_fix(rule, rule["title"]) for rule in rules if rule["commit"] in there]
    for index, own in enumerate(build.fixes, 1):
        rule = {"guilty": repo.resolve(own.guilty) if own.guilty else "", "from": own.since, "until": own.until}
        rule = {key: value for key, value in rule.items() if value}
        if own.patch is not None:
            found.append(Fix(own.patch.name, patch=read_patch(own.patch), bounds=_bounds(rule)))
            continue
        commit = repo.commit(own.commit)
        if len(commit.parents) != 1:
            parents = len(commit.parents)
            raise UserError(f"build.fixes: {index}: {own.commit} has {parents} parents; a fix is a commit with one")
        found.append(_fix(rule | {"commit": commit.hash}, commit.title))
    return tuple(found)


def _fix(rule: dict[str, Any], title: str) -> Fix:
    name = f'{rule["commit"][:12]} ("{title}")'
    return Fix(name, rule["commit"], title=canonical_title(title), guilty=rule.get("guilty", ""), bounds=_bounds(rule))


def _bounds(rule: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((key, rule[key]) for key in ("from", "until") if key in rule)


def _existing(repo: Repo, commits: list[str]) -> set[str]:
    """Those of some full hashes that the repository holds."""
    out = repo.git("cat-file", "--batch-check", binary_input="".join(f"{commit}\n" for commit in commits).encode())
    return {line.split()[0] for line in out.splitlines() if line.endswith(tuple("0123456789"))}


class Fixer:
    """Makes sources, and keeps what the history said. The caller holds a lock on ``directory``."""

    def __init__(self, directory: Path) -> None:
        """``directory`` is for patched files; at most 256 MiB of them are kept."""
        self.directory = directory
        self._known: dict[tuple[Path, tuple[Fix, ...]], _Titles] = {}
        self._needed: dict[tuple[Path, str, tuple[Fix, ...]], list[Fix]] = {}

    def source(
        self, repo: Repo, commit: str, version: data.Version | None, fixes: Sequence[Fix], patch: bytes = b""
    ) -> Source:
        """What ``commit`` (full hash) is built from: itself with the fixes that it needs, then with ``patch``."""
        tree = repo.tree(commit)
        key = (repo.path, commit, tuple(fixes))
        if key not in self._needed:
            self._needed[key] = [fix for fix in fixes if self._needs(repo, commit, version, fix, key[2])]
        needed = self._needed[key]
        if not needed and not patch:
            # With the trees of other revisions in sight, it can be compared with what was built last.
            return Source(repo.beside(self.directory) if self.directory.exists() else repo, tree)
        try:
            self._make_room()
            beside, applied = repo.beside(self.directory), []
            for fix in needed:
                try:
                    tree = patched_tree(beside, tree, fix.patch or repo.difference(f"{fix.commit}^", fix.commit))
                except AlreadyApplied:
                    continue
                except PatchError as error:
                    return Source(repo, tree, error=f"the fix {fix.name} does not apply: {error}")
                applied.append(fix.name)
            if patch:
                try:
                    tree = patched_tree(beside, tree, patch)
                except PatchError as error:
                    return Source(repo, tree, tuple(applied), f"the patch does not apply: {error}")
        except OSError as problem:
            raise InfrastructureError(f"{self.directory}: {problem}") from problem
        return Source(beside, tree, tuple(applied))

    def _needs(self, repo: Repo, commit: str, version: data.Version | None, fix: Fix, fixes: tuple[Fix, ...]) -> bool:
        if not fix.within(version):
            return False
        if fix.commit and repo.is_ancestor(fix.commit, commit):
            return False
        if fix.guilty and not repo.contains(commit, fix.guilty):
            return False
        if not fix.commit:
            return True  # a patch that is there already is noticed when it is applied
        key = (repo.path, fixes)
        if key not in self._known:
            self._known[key] = _Titles(repo, fixes)
        return not self._known[key].has(commit, fix.title)

    def _make_room(self) -> None:
        if self.directory.exists():
            for left in (*self.directory.glob("*/tmp_obj_*"), *self.directory.glob("tmp_obj_*")):
                left.unlink(missing_ok=True)  # half an object of a git that was killed or had no room
            for left in self.directory.glob("index-*"):
                shutil.rmtree(left, ignore_errors=True)
            if bytes_of_files(self.directory) > _MOST_OBJECTS:
                shutil.rmtree(self.directory)


@dataclass
class _Titles:
    """Where a history has commits with the fixes' titles. Each part of it is walked once, whatever is asked."""

    repo: Repo
    fixes: Sequence[Fix]
    tips: list[str] = field(default_factory=list)
    found: dict[str, list[str]] = field(default_factory=dict)
    at: str = ""  # the commit that was asked about last, which lies in what was walked

    def __post_init__(self) -> None:
        dates = [self.repo.commit(fix.commit).commit_date for fix in self.fixes if fix.commit]
        # git's walk ends there. No commit of the kernel's is older than its history, whatever its clock said.
        self.since = max(min(dates) - _BEFORE, _FIRST).isoformat()
        self.titles = {fix.title for fix in self.fixes if fix.commit}

    def has(self, commit: str, title: str) -> bool:
        """Whether ``commit`` has an ancestor (or is a commit) with this canonical title."""
        if commit != self.at and not any(self.repo.is_ancestor(commit, tip) for tip in self.tips):
            for one, its in titled(self.repo, self.since, [commit], self.tips):
                if its in self.titles:
                    self.found.setdefault(its, []).append(one)
            self.tips.append(commit)
        self.at = commit
        return any(self.repo.is_ancestor(one, commit) for one in self.found.get(title, []))
