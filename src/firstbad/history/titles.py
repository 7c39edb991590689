"""Commits by their titles and tags: the same change in several trees, and the fixes of a reported bug."""

import re
from collections.abc import Iterable, Iterator

from firstbad.history.git import Repo

# What stable and vendor trees put before the title of a commit that they took from elsewhere.
_TAKEN = ("UPSTREAM:", "CHROMIUM:", "FROMLIST:", "BACKPORT:", "FROMGIT:", "net-backports:")
_YEARS = 5


def canonical_title(title: str) -> str:
    """A commit's title without what a tree that took it over put before it (one such mark) and blanks around it."""
    text = title.strip()
    for mark in _TAKEN:
        if text.startswith(mark):
            return text[len(mark) :].strip()
    return text


def fix_tags(message: str, address: str) -> list[str]:
    """The bugs that a commit claims to fix: what stands between user+ and @domain of a reporter's ``address``.

    The first of each line (the title's too), unique, in order: ``Reported-by: bot+0123abcd@example.org`` with the
    address ``bot@example.org`` tells ``0123abcd``.
    """
    user, _, domain = address.partition("@")
    pattern = re.compile(rf"{re.escape(user)}\+([^\s@<>+]{{1,200}})@{re.escape(domain)}(?![\w.-])")
    found = (pattern.search(line) for line in message.splitlines())
    return list(dict.fromkeys(each[1] for each in found if each))


def titled(repo: Repo, since: str, tips: Iterable[str], excluded: Iterable[str] = ()) -> Iterator[tuple[str, str]]:
    """(commit, canonical title) of what ``tips`` contain and ``excluded`` do not, newest first.

    Both are full hashes; ``since`` is a date as git reads it. Some seconds for a million commits: ask once.
    """
    without = [f"^{commit}" for commit in excluded]
    log = repo.git("log", "--format=%H%x00%s", f"--since={since}", "--end-of-options", *tips, *without)
    for line in log.split("\n"):
        commit, _, title = line.partition("\0")
        if commit:
            yield commit, canonical_title(title)


def find_by_title(repo: Repo, titles: Iterable[str], tip: str = "HEAD", years: int = _YEARS) -> dict[str, str]:
    """The newest commit of ``tip``'s history for each title (as asked for) that it has, by canonical title.

    Only the last ``years`` are looked through: the subject of an old commit says little.  Raises UserError and
    NotFoundError for an unusable ``tip``.
    """
    asked = {canonical_title(title): title for title in titles}
    found: dict[str, str] = {}
    for commit, title in titled(repo, f"{years}.years", [repo.resolve(tip)]):
        if title in asked:
            found.setdefault(asked[title], commit)
    return found
