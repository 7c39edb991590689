"""A git repository as a history: what a bisection asks of it, each answer kept."""

from collections.abc import Mapping, Sequence

from firstbad.history.git import Repo
from firstbad.history.graph import Range, read_range, touched_files
from firstbad.history.releases import TagRule, Version, previous_releases, releases_at
from firstbad.history.titles import find_by_title


class GitHistory:
    """Implements ``firstbad.history.base.History``; commits are full hashes.

    ``rule`` is what release tags look like; releases older than ``oldest`` are left out, since they can't be tested.
    """

    def __init__(self, repo: Repo, rule: TagRule | None = None, oldest: Version | None = None) -> None:
        self.repo, self.rule, self.oldest = repo, rule, oldest
        self._ranges: dict[tuple[str, ...], Range] = {}
        self._touched: dict[tuple[str, ...], Mapping[str, frozenset[str]]] = {}
        self._releases: dict[str, tuple[tuple[str, str], ...]] = {}

    def resolve(self, revision: str) -> str:
        """Full hash of a revision. Raises UserError, NotFoundError."""
        return self.repo.resolve(revision)

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether ``old`` is ``new`` or one of its ancestors."""
        return self.repo.is_ancestor(old, new)

    def merge_bases(self, one: str, other: str) -> tuple[str, ...]:
        """The best common ancestors of two commits; empty where they share none."""
        return tuple(self.repo.git("merge-base", "--all", one, other, check=False).split())

    def releases(self, commit: str) -> tuple[tuple[str, str], ...]:
        """(tag, commit) of the final releases that ``commit`` contains and is not itself, newest first."""
        if commit not in self._releases:
            found = previous_releases(self.repo, commit, self.rule, self.oldest)
            self._releases[commit] = tuple(
                (release.tag, self.repo.resolve(f"refs/tags/{release.tag}")) for release in found
            )
        return self._releases[commit]

    def tag(self, commit: str) -> str:
        """The release tag that points at a commit, empty if none does."""
        found = releases_at(self.repo, commit, self.rule)
        return found[0].tag if found else ""

    def by_title(self, title: str, tip: str) -> str:
        """The newest commit of ``tip``'s last years with this title; empty where there is none."""
        return find_by_title(self.repo, [title], tip).get(title, "")

    def title(self, commit: str) -> str:
        """First line of the commit's message."""
        return self.repo.commit(commit).title

    def range(self, tip: str, excluded: Sequence[str]) -> Range:
        """The commits of ``tip`` that are not in ``excluded``, with their boundary. Raises UserError if empty."""
        key = (tip, *excluded)
        if key not in self._ranges:
            self._ranges[key] = read_range(self.repo, tip, excluded)
        return self._ranges[key]

    def halfway(self, new: str, old: Sequence[str]) -> str:
        """The commit that `git bisect` would test between ``new`` and all of ``old``; full hashes."""
        # Not --bisect: that adds what the user's own `git bisect`, which may be under way, has in refs/bisect.
        text = self.repo.git("rev-list", "--bisect-vars", new, *(f"^{commit}" for commit in old))
        return text.partition("bisect_rev='")[2].partition("'")[0]

    def touched(self, tip: str, excluded: Sequence[str]) -> Mapping[str, frozenset[str]]:
        """Files that each commit of the range changes; the most expensive question to git."""
        key = (tip, *excluded)
        if key not in self._touched:
            self._touched[key] = touched_files(self.repo, tip, excluded)
        return self._touched[key]
