"""What a bisection asks of a history, whatever keeps it: a git repository, or a simulated lab."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from firstbad.history.graph import Range


class History(Protocol):
    """A commit graph with releases. Commits are named by their full hash (git) or by any unique text (simulated)."""

    def resolve(self, revision: str) -> str:
        """The commit that a revision names. Raises UserError, NotFoundError."""

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether ``old`` is ``new`` or one of its ancestors."""

    def merge_bases(self, one: str, other: str) -> tuple[str, ...]:
        """The best common ancestors of two commits; empty where they share none."""

    def releases(self, commit: str) -> tuple[tuple[str, str], ...]:
        """(tag, commit) of the final releases that ``commit`` contains and is not itself, newest first."""

    def tag(self, commit: str) -> str:
        """The release tag that points at a commit, empty if none does."""

    def by_title(self, title: str, tip: str) -> str:
        """The newest commit of ``tip``'s history with this title, by canonical titles; empty where there is none."""

    def title(self, commit: str) -> str:
        """First line of the commit's message."""

    def range(self, tip: str, excluded: Sequence[str]) -> Range:
        """The commits of ``tip`` that are not in ``excluded``, with their boundary. Raises UserError if empty."""

    def touched(self, tip: str, excluded: Sequence[str]) -> Mapping[str, frozenset[str]]:
        """Files that each commit of the range changes, merges left out; empty where the history can't tell."""
