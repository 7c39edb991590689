"""What a git history knows of a bisection's answer."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from firstbad.audit.facts import Facts, Named
from firstbad.crash.likeness import face_of_title, function_of
from firstbad.errors import FirstbadError
from firstbad.history.claims import Claim, claims, mentioning
from firstbad.history.git import Repo

# A fix that names a bug's crash and, by Fixes:, its culprit: of 140 such culprits that a study looked into, 132 were
# confirmed (How Well Industry-Level Cause Bisection Works in Real-World, FSE Companion 2024). One that names another
# commit speaks against the answer by as much.
CLAIM_ODDS = 132 / 8
MAX_FIXES = 20  # commits about the crash that are read


@dataclass(frozen=True)
class Known:
    """What the history says. ``odds``: how much more often that is seen where the answer is right than where not."""

    facts: Facts
    words: tuple[str, ...] = ()
    odds: float = 1.0


@dataclass
class _Claims:
    here: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)


def consult(facts: Facts, repo: Repo) -> Known:
    """Ask ``repo`` (a clone that is only read) about the named commit and about later fixes of the crash.

    A commit that the clone does not have is told in words. Raises UserError where ``repo`` is no repository.
    """
    repo.check()
    commit = facts.named
    if commit is None:
        return Known(facts)
    try:
        seen = repo.commit(repo.resolve(commit.hash))
    except FirstbadError:
        return Known(facts, (f"this clone does not have {commit.hash[:12]}: nothing is known of it",))
    merge = len(seen.parents) > 1
    files = commit.files if merge else _files(repo, commit.hash)
    told: Named = replace(commit, merge=merge, files=files, directories=())
    words: list[str] = ["it is a merge"] if merge else []
    found = _fixes(repo, facts, commit.hash)
    words += [f"{fix} fixes this crash and says that {commit.hash[:12]} brought it" for fix in found.here]
    words += [f"{fix}" for fix in found.elsewhere]
    odds = 1.0
    if found.here and not found.elsewhere:
        odds = CLAIM_ODDS
    elif found.elsewhere and not found.here:
        odds = 1 / CLAIM_ODDS
    return Known(replace(facts, named=told), tuple(words), odds)


def _files(repo: Repo, commit: str) -> tuple[str, ...]:
    text = repo.git("diff-tree", "-r", "-z", "--root", "--no-commit-id", "--name-only", "-M", commit)
    return tuple(path for path in text.split("\0") if path)


def _fixes(repo: Repo, facts: Facts, named: str) -> _Claims:
    """Commits that tell of this crash by its title, and what they say brought it."""
    found = _Claims()
    for commit, title, message in _about(repo, facts):
        says = [claim for claim in claims(title, message) if claim.kind == "fixes"]
        if not says or commit == named:
            continue
        fix = f'{commit[:12]} ("{title}")'
        if any(_same(repo, claim, named) for claim in says):
            found.here.append(fix)
        else:
            others = ", ".join(f'{claim.hash} ("{claim.title}")' if claim.title else claim.hash for claim in says)
            found.elsewhere.append(f"{fix} fixes this crash and says that {others} brought it")
    return found


def _same(repo: Repo, claim: Claim, named: str) -> bool:
    if claim.hash and named.startswith(claim.hash):
        return True
    return bool(claim.title) and claim.title == repo.commit(named).title


def _about(repo: Repo, facts: Facts) -> list[tuple[str, str, str]]:
    return mentioning(repo, sorted(set(_titles(facts))), "--all", "--no-merges", f"--max-count={MAX_FIXES}")


def _titles(facts: Facts) -> Iterable[str]:
    """The start's titles that name a function: others are worn by too many bugs."""
    return (face_of_title(title).title for title in facts.titles if function_of(title))
