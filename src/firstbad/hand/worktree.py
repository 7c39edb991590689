"""The user's own work tree: what is checked out, as ``git bisect`` does it, with the user's own git settings."""

import os
import posixpath
import subprocess
from pathlib import Path

from firstbad.errors import InfrastructureError, NotFoundError, UserError
from firstbad.history.git import Repo

HEAD_REF = "FIRSTBAD_HEAD"
"""Names the revision to test where nothing is checked out, as BISECT_HEAD does for git."""


class WorkTree:
    """The repository at ``path``, whose HEAD moves. Revisions are full hashes or names that git gave."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.repo = Repo(path)

    @property
    def bare(self) -> bool:
        """Whether there are no files to check out."""
        return self.repo.git("rev-parse", "--is-bare-repository").strip() == "true"

    def directory(self) -> Path:
        """The git directory of this work tree."""
        return self.repo.git_dir()

    def from_top(self, path: str) -> str:
        """A path that was given here as seen from the top of the work tree; those with git's magic stay as they are."""
        if path.startswith(":") or self.bare:
            return path
        prefix = self.repo.git("rev-parse", "--show-prefix").rstrip("\n")
        return posixpath.normpath(prefix + path)

    def place(self) -> str:
        """Where the user is: the name of a branch, else a full hash. Raises UserError where there is no commit yet."""
        branch = self.repo.git("symbolic-ref", "-q", "--short", "HEAD", check=False).strip()
        return branch or self.repo.resolve("HEAD")

    def current(self) -> str:
        """The commit that a word without a revision is about. Raises NotFoundError."""
        for name in (HEAD_REF, "HEAD"):
            try:
                return self.repo.resolve(name)
            except NotFoundError:
                continue
        raise NotFoundError(f"{self.path}: HEAD is no commit")

    def checkout(self, revision: str) -> None:
        """Check out a commit (detached) or a branch, as ``git checkout`` does. Raises UserError in git's words,
        InfrastructureError where git was killed."""
        done = self._git("checkout", "-q", revision, "--")
        if done.returncode < 0:
            raise InfrastructureError(
                f"git checkout was ended by signal {-done.returncode} (no memory left?); then: firstbad next"
            )
        if done.returncode:
            raise UserError(done.stderr.decode("utf-8", "replace").strip())

    def point(self, commit: str) -> None:
        """Have FIRSTBAD_HEAD name a commit."""
        self.repo.git("update-ref", "--no-deref", HEAD_REF, commit)

    def unpoint(self) -> None:
        """Take FIRSTBAD_HEAD away."""
        self.repo.git("update-ref", "--no-deref", "-d", HEAD_REF, check=False)

    def _git(self, *args: str) -> subprocess.CompletedProcess[bytes]:
        # Not through Repo: the user's hooks and settings are part of the user's own checkout.
        env = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
        return subprocess.run(["git", "-C", str(self.path), *args], capture_output=True, check=False, env=env)

    def git_bisects(self) -> bool:
        """Whether ``git bisect`` itself is under way here."""
        return (self.directory() / "BISECT_START").exists()
