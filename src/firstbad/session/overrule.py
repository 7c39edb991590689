"""People overrule what was run: what may be said of a job's revisions, and how it is recorded."""

import getpass
import socket

from firstbad.errors import UserError
from firstbad.history.git import Repo
from firstbad.job import Job
from firstbad.session.opinions import Opinion, Says
from firstbad.session.question import pinned
from firstbad.session.state import fold
from firstbad.store import Store, StoredJob

LONGEST = 2000  # characters of a reason


def mark(store: Store, stored: StoredJob, revision: str, says: Says | None, who: str, why: str) -> Opinion:
    """Record what somebody says of a revision; ``says`` None takes it back. Raises UserError, NotFoundError."""
    if stored.job.kind == "test":
        raise UserError(f"job {stored.id} is the test of one revision: there is nothing to overrule")
    if says is not None:
        _reasoned(why)
    repo, events = Repo(stored.job.repo), store.events(stored.id)
    commit = repo.resolve(revision)
    if commit == repo.resolve(pinned(stored.job, events).commit):
        raise UserError(f"{commit[:12]} is where the crash was seen: what is searched for is what its runs showed")
    before = fold(events).opinions.standing.get((commit, False))
    if says is None and before is None:
        raise UserError(f"nobody marked {commit[:12]} in job {stored.id}")
    said = says or (before.says if before else "ignore")
    return _record(store, stored, Opinion(commit, said, who, why[:LONGEST], undo=says is None))


def reject(store: Store, stored: StoredJob, who: str, why: str, undo: bool = False) -> Opinion:
    """Record that the culprit of a job is wrong, or take that back. Raises UserError."""
    if stored.job.kind == "test":
        raise UserError(f"job {stored.id} is the test of one revision: it names no culprit")
    events = store.events(stored.id)
    if undo:
        rejected = [one for one in fold(events).opinions if one.says == "wrong"]
        if not rejected:
            raise UserError(f"nobody rejected a culprit of job {stored.id}")
        commit, parents = rejected[-1].commit, rejected[-1].parents
    else:
        _reasoned(why)
        # The last answer, though somebody overruled a revision since.
        answers = [event.data for event in events if event.kind == "finished"]
        if not answers or answers[-1].get("status") != "found":
            raise UserError(f"job {stored.id} names no culprit; `firstbad mark` is about single revisions")
        commit = answers[-1]["commits"][0]
        parents = Repo(stored.job.repo).commit(commit).parents
    return _record(store, stored, Opinion(commit, "wrong", who, why[:LONGEST], undo=undo, parents=parents))


def _reasoned(why: str) -> None:
    if not why.strip():
        raise UserError("say why: others have to be able to judge it")


def _record(store: Store, stored: StoredJob, opinion: Opinion) -> Opinion:
    store.append(stored.id, "opinion", opinion.to_event())
    return opinion


def signer(job: Job) -> str:
    """Who says something at this machine: name and address as git has them, else its user."""
    repo = Repo(job.repo)
    name, email = (repo.git("config", "--get", key, check=False).strip() for key in ("user.name", "user.email"))
    if name or email:
        return f"{name} <{email}>" if name and email else name or email
    return f"{getpass.getuser()}@{socket.gethostname()}"
