"""The part of the commit graph that a bisection is about, as indices in topological order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from firstbad.errors import UserError
from firstbad.history.git import Repo


@dataclass(frozen=True)
class Range:
    """Commits between boundaries and a tip.

    ``hashes[i]`` is a commit, parents before children; ``parents[i]`` are indices (parents outside the range are
    left out); ``boundary`` are the indices of the excluded ends and of the range's parents outside it, which are
    part of the graph (so that observations on them count) but are no candidates.
    """

    hashes: tuple[str, ...]
    parents: tuple[tuple[int, ...], ...]
    boundary: frozenset[int]
    index: dict[str, int] = field(repr=False)

    @property
    def tip(self) -> int:
        """Index of the newest commit, the end of the range."""
        return len(self.hashes) - 1


def read_range(repo: Repo, tip: str, excluded: Sequence[str]) -> Range:
    """Everything that ``tip`` contains and none of ``excluded`` does, plus its boundary.

    All are full hashes. Raises UserError when the range is empty.
    """
    lines = repo.git(
        "rev-list", "--topo-order", "--reverse", "--parents", tip, *(f"^{commit}" for commit in excluded)
    ).split("\n")
    rows = [line.split() for line in lines if line]
    if not rows:
        raise UserError(f"no commits to search: {tip[:12]} is contained in {', '.join(e[:12] for e in excluded)}")
    inside = {row[0] for row in rows}
    outside = [parent for row in rows for parent in row[1:] if parent not in inside]
    hashes = [*dict.fromkeys([*excluded, *outside]), *(row[0] for row in rows)]
    index = {commit: i for i, commit in enumerate(hashes)}
    count = len(hashes) - len(rows)
    # How boundary commits descend from each other does not matter: no candidate is among their ancestors.
    parents: list[tuple[int, ...]] = [()] * count
    parents += [tuple(index[parent] for parent in row[1:]) for row in rows]
    return Range(tuple(hashes), tuple(parents), frozenset(range(count)), index)


def titles(repo: Repo, commits: Iterable[str]) -> dict[str, str]:
    """First line of each commit's message."""
    text = "\n".join(commits)
    out = repo.git("log", "--no-walk=unsorted", "--stdin", "--format=%H %s", binary_input=text.encode())
    rows = (line.partition(" ") for line in out.split("\n") if line)
    return {commit: title for commit, _, title in rows}


def touched_files(repo: Repo, tip: str, excluded: Sequence[str]) -> dict[str, frozenset[str]]:
    """Files that each commit of the range changes; merges are left out (what they bring is other commits' work)."""
    out = repo.git(
        "log",
        "-z",
        "--format=%x01%H",
        "--name-only",
        "--no-merges",
        "--no-renames",
        tip,
        *(f"^{commit}" for commit in excluded),
    )
    result = {}
    for block in out.split("\x01")[1:]:
        head, _, rest = block.partition("\0")
        result[head.strip()] = frozenset(name.strip("\n") for name in rest.split("\0") if name.strip("\n"))
    return result
