"""What a bisection asks, resolved: the ends of the history it is about. No machine."""

from dataclasses import dataclass, replace
from typing import Literal

from firstbad.errors import NotFoundError, UserError
from firstbad.history.base import History
from firstbad.history.git import Repo
from firstbad.history.releases import TagRule
from firstbad.history.repository import GitHistory
from firstbad.home import home
from firstbad.job import Job
from firstbad.kernel import toolchain
from firstbad.store import Event


@dataclass(frozen=True)
class Question:
    """A bisection's question. Commits are full hashes (or whatever the history names them by)."""

    kind: Literal["cause", "fix"]
    start: str
    """Where the crash was seen."""
    head: str = ""
    """Fix only: the tip of the branch where the crash may be gone."""
    good: tuple[str, ...] = ()
    """Cause only: revisions said to be good."""
    trusted: bool = False
    """Whether ``good`` needs no test."""
    target: float = 0.99
    bases: tuple[str, ...] = ()
    """Merge bases that stand for an old end which is not below the new one; nobody vouches for them."""
    paths: tuple[str, ...] = ()
    """Paths that the culprit probably touches."""
    priors: bool = True
    """Use what history knows of culprits; without, all commits are alike."""
    rewritten: str = ""
    """What the job calls the start commit, where that does not exist any more and it was found by its title."""


def history_of(job: Job) -> GitHistory:
    """The job's repository, with its release tags as far back as there are compilers. Raises UserError."""
    rule = TagRule(job.release_tags) if job.release_tags else None
    dirs = (*job.build.toolchain_dirs, home().toolchains)
    return GitHistory(Repo(job.repo), rule, toolchain.oldest(job.build.toolchain, job.build.arch, dirs))


def find_question(history: History, job: Job) -> Question:
    """Resolve what the job names. Raises UserError, NotFoundError before anything is built."""
    start, rewritten = _start(history, job)
    question = Question(
        "fix" if job.kind == "fix" else "cause",
        start,
        target=job.target,
        paths=tuple(job.path),
        priors=job.priors,
        rewritten=rewritten,
    )
    if job.kind == "test":
        return question
    if job.kind == "fix":
        head = history.resolve(job.head or "HEAD")
        if head == start:
            raise UserError(f"head is the start commit {start[:12]}: there is nothing between them to search")
        if history.is_ancestor(head, start):
            raise UserError(f"head {head[:12]} is older than the start commit {start[:12]}: nothing there can fix it")
        if not history.merge_bases(start, head):
            raise UserError(f"head {head[:12]} and the start commit {start[:12]} share no history")
        return replace(question, head=head)
    good = tuple(dict.fromkeys(history.resolve(revision) for revision in job.good))
    for name, commit in zip(job.good, good, strict=False):
        if commit == start or not history.is_ancestor(commit, start):
            raise UserError(
                f"good revision {name} is not contained in the start commit {start[:12]}; "
                f"try a release that is, or their merge base"
            )
    if not good and not history.releases(start):
        raise UserError(f"no release tags before {start[:12]}: name a revision without the bug with --good")
    return replace(question, good=good)


def _start(history: History, job: Job) -> tuple[str, str]:
    """The start commit, and its name in the job if it was rewritten since (linux-next is, every day)."""
    try:
        return history.resolve(job.commit), ""
    except NotFoundError:
        if not job.commit_title:
            raise
    tip = history.resolve(job.head or "HEAD")
    found = history.by_title(job.commit_title, tip)
    if not found:
        raise NotFoundError(
            f"unknown revision: {job.commit}, and {job.head or 'HEAD'} has no commit titled {job.commit_title!r}; "
            f"name the commit that took its place with --commit"
        )
    return found, job.commit


def pinned(job: Job, events: list[Event]) -> Job:
    """The job with the ends it was begun with: branches move, and so does what is found by its title."""
    started = next((event.data for event in events if event.kind == "started"), None)
    if started is None:
        return job
    return job.model_copy(update={"commit": started["start"], "head": started["head"]})
