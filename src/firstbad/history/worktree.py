"""A work tree that is kept and checked out in place, so that builds in it stay incremental.

It is no ``git worktree``: the repository belongs to the user and nothing is written into it. The index lies
beside the work tree, so one work tree can serve several repositories with the same files (its index holds blob
hashes and file times, and what two histories share is not written again). So does a repository of ours, which has the
user's objects and none of its settings.
"""

import os
from pathlib import Path

from firstbad.errors import InfrastructureError
from firstbad.history.apart import apart
from firstbad.history.git import Repo

AS_COMMITTED = {"GIT_LFS_SKIP_SMUDGE": "1"}
"""Environment in which files of Git LFS stay what the commit holds: pointers."""


def checkout(repo: Repo, directory: Path, commit: str) -> None:
    """Make ``directory`` hold exactly what ``commit`` (a full hash) holds; unchanged files keep their times.

    The caller holds a lock on ``directory``: what a killed git left behind is removed. Raises InfrastructureError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    index = directory.with_name(directory.name + ".index")
    index.with_name(index.name + ".lock").unlink(missing_ok=True)
    env = {
        **apart(repo, directory.with_name(directory.name + ".git")),
        "GIT_WORK_TREE": str(directory),
        "GIT_INDEX_FILE": str(index),
        **AS_COMMITTED,
    }

    def git(*args: str) -> bool:
        done = repo.run(*args, check=False, env=env, cwd=directory)
        return done.returncode == 0

    if not index.exists():
        git("read-tree", "--empty")
    git("update-index", "-q", "--refresh")
    if not git("read-tree", "--reset", "-u", commit):
        # An index that a full disk or a power cut spoiled: begin again, which costs a full checkout.
        index.unlink(missing_ok=True)
        if not git("read-tree", "--reset", "-u", commit):
            raise InfrastructureError(f"can't check {commit[:12]} out in {directory} (is the disk full?)")
    # Leftovers of another revision would be compiled in where a Makefile names them by wildcard.
    if not git("clean", "-q", "-f", "-d", "-x"):
        raise InfrastructureError(f"can't clean {directory}")
    os.utime(directory)
