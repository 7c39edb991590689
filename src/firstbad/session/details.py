"""What git says of an answer's commits, kept with the answer: whoever reads it later need not have the repository."""

import re
from typing import Any

from firstbad.history.git import Repo
from firstbad.history.graph import titles
from firstbad.history.releases import TagRule, releases_at
from firstbad.job import Job

PATCH_LINES, PATCH_LETTERS = 400, 40_000  # of the culprit's diff
FILES = 1000  # names that are kept
TITLES = 200  # candidates whose titles are kept
_MESSAGE = 20_000
_RELEASE_TITLE = re.compile(r"Linux \d{1,3}\.\d{1,3}(?:\.\d{1,4})?(?:-rc\d{1,2})?\Z")


def details_of(repo: Repo, job: Job, commit: str) -> dict[str, Any]:
    """Of one commit, as event data: author, date (ISO), message, diff (bounded; ``cut``: there is more), files, whether
    it is a release."""
    found = repo.commit(commit)
    rule = TagRule(job.release_tags) if job.release_tags else None
    patch, cut = _bounded(_diff_of(repo.patch(found.hash)))
    words = ("diff-tree", "-r", "-z", "--no-commit-id", "--name-only", "--root", "--end-of-options", found.hash)
    return {
        "author": f"{found.author_name} <{found.author_email}>",
        "date": found.date.isoformat(),
        "message": found.message[:_MESSAGE],
        "patch": patch,
        "cut": cut,
        "files": [name for name in repo.git(*words).split("\0") if name][:FILES],
        "is_release": bool(releases_at(repo, found.hash, rule)) or bool(_RELEASE_TITLE.match(found.title)),
    }


def titles_of(repo: Repo, commits: list[str]) -> dict[str, str]:
    """Titles of the first candidates, cut to a line's length."""
    return {commit: title[:500] for commit, title in titles(repo, commits[:TITLES]).items()}


def _diff_of(patch: str) -> str:
    """The diff in what `git show` prints: after header and message, which is indented."""
    lines = patch.split("\n")
    starts = ("diff --git ", "diff --cc ", "diff --combined ")
    first = next((i for i, line in enumerate(lines) if line.startswith(starts)), len(lines))
    return "\n".join(lines[first:])


def _bounded(text: str) -> tuple[str, bool]:
    lines = text[:PATCH_LETTERS].split("\n")[:PATCH_LINES]
    kept = "\n".join(line[:1000] for line in lines)
    return kept, len(kept) < len(text)
