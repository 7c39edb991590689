"""What commits say of each other: ``Fixes:`` tags and reverts."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from firstbad.history.git import Repo
from firstbad.history.titles import canonical_title

# Documentation/process/submitting-patches.rst: Fixes: 54a4f0239f2e ("KVM: MMU: make kvm_mmu_zap_page() ...").
# Titles are cut, quoted anyhow, and broken over lines in practice.
_FIXES = re.compile(r"^Fixes:[ \t]*(?:commit[ \t]+)?(?P<hash>[0-9a-f]{7,64})\b(?:[ \t]*\((?P<title>[^\n]{1,400})\))?",
                    re.MULTILINE | re.IGNORECASE)  # fmt: skip
# git revert's own words; people add "upstream" and a title, and break the line.
_REVERTS = re.compile(r"\bThis\s+reverts\s+(?:upstream\s+)?commit\s+(?P<hash>[0-9a-f]{7,64})\b")
_REVERT_TITLE = re.compile(r'Revert:?\s+"(?P<title>.{1,400})"\s*')
_SHORTEST = 7  # digits of a hash that a claim names at least
_QUOTES = "\"'\u201c\u201d\u2018\u2019 \t"
_LONGEST = 1 << 20  # characters of a message that are read

Kind = Literal["fixes", "reverts"]


@dataclass(frozen=True)
class Claim:
    """A commit says that it fixes or reverts another one: its hash (maybe cut) and title, of which one may be empty."""

    kind: Kind
    hash: str
    title: str = ""


def claims(title: str, message: str) -> list[Claim]:
    """What a commit with this title and whole message claims, reverts first, each once.

    A revert whose title and text name one commit is one claim. "Reapply" and the revert of a revert undo something,
    but fix nothing: they are no claims about the commit that was first reverted.
    """
    text = message[:_LONGEST]
    reverted = [match["hash"] for match in _REVERTS.finditer(text)]
    named = _REVERT_TITLE.fullmatch(canonical_title(title))
    name = named["title"] if named else ""
    found = [Claim("reverts", commit, name if len(reverted) == 1 else "") for commit in reverted]
    if name and not reverted:
        found.append(Claim("reverts", "", name))
    for match in _FIXES.finditer(text):
        found.append(Claim("fixes", match["hash"].lower(), (match["title"] or "").strip(_QUOTES)))
    return list(dict.fromkeys(found))


def who_fixes(
    repo: Repo, tips: Iterable[str], excluded: Iterable[str], targets: Iterable[str]
) -> Mapping[str, list[tuple[str, Kind]]]:
    """For each of ``targets`` (full hashes) the commits that claim to fix or revert it, oldest first.

    They are looked for in what ``tips`` contain and ``excluded`` do not. A claim counts when its hash begins the
    target's, or, where it names a commit that this repository does not have (a rebase, another tree), when its title
    is the target's.
    """
    known = list(targets)
    titles = {canonical_title(repo.commit(target).title): target for target in known}
    found: dict[str, list[tuple[str, Kind]]] = {target: [] for target in known}
    words = {target[:_SHORTEST] for target in known} | {title for title in titles if title}
    without = (f"^{commit}" for commit in excluded)
    for commit, title, message in mentioning(
        repo, sorted(words), "--reverse", "--topo-order", "--regexp-ignore-case", revisions=(*tips, *without)
    ):
        for claim in claims(title, message):
            target = _target(repo, claim, known, titles)
            if target and target != commit and (commit, claim.kind) not in found[target]:
                found[target].append((commit, claim.kind))
    return found


def mentioning(
    repo: Repo, words: Sequence[str], *options: str, revisions: Sequence[str] = ()
) -> list[tuple[str, str, str]]:
    """(commit, title, message) of the commits whose messages hold one of ``words``; none without any words.

    ``options`` are those of ``git log``, which shows what ``revisions`` name. A third of the kernel's commits fix
    something, so git does the search. Raises InfrastructureError.
    """
    if not words:
        return []
    grep = (f"--grep={word}" for word in words)
    log = repo.git("log", "-z", "--fixed-strings", *options, *grep, "--format=%H%x01%s%x01%B", *revisions)
    rows = (row.strip("\n").split("\x01", 2) for row in log.split("\0"))
    return [(row[0], row[1], row[2]) for row in rows if len(row) == 3]


def _target(repo: Repo, claim: Claim, known: list[str], titles: Mapping[str, str]) -> str:
    if claim.hash:
        hits = [target for target in known if target.startswith(claim.hash)]
        if hits or not claim.title:
            return hits[0] if len(hits) == 1 else ""
    target = titles.get(canonical_title(claim.title), "")
    return target if target and not (claim.hash and repo.has(claim.hash)) else ""
