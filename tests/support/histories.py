"""Small git histories for tests, written with git itself."""

import os
import subprocess
from pathlib import Path

_ENV = {
    "GIT_AUTHOR_NAME": "A Developer",
    "GIT_AUTHOR_EMAIL": "dev@example.org",
    "GIT_COMMITTER_NAME": "A Maintainer",
    "GIT_COMMITTER_EMAIL": "maint@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
}


MINIATURE = Path(__file__).parents[1] / "fakelinux"


def miniature() -> dict[str, str]:
    """The files of a tree that is built by make as a kernel is, in a moment."""
    return {str(path.relative_to(MINIATURE)): path.read_text() for path in MINIATURE.rglob("*") if path.is_file()}


class History:
    """A repository that grows by small commits; each commit is known by its title."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.commits: dict[str, str] = {}
        self._time = 1_700_000_000
        path.mkdir(parents=True)
        self.git("init", "-q", "-b", "master", ".")

    def git(self, *args: str, **env: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.path), *args], check=True, capture_output=True, text=True,
            env={**os.environ, **_ENV, **env},
        )  # fmt: skip
        return done.stdout.strip()

    def commit(self, title: str, files: dict[str, str] | None = None, parents: list[str] | None = None) -> str:
        """Add a commit with these files changed, on the given parents (titles; the last commit by default)."""
        if parents is None:
            parents = list(self.commits)[-1:]
        if parents:
            self.git("read-tree", self.commits[parents[0]])
        for name, text in (files or {f"src/{title.replace(' ', '_')}.c": title}).items():
            blob = subprocess.run(["git", "-C", str(self.path), "hash-object", "-w", "--stdin"], input=text, text=True,
                                  check=True, capture_output=True).stdout.strip()  # fmt: skip
            self.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{name}")
        self._time += 60
        date = f"{self._time} +0000"
        message = f"{title}\n\nSigned-off-by: A Developer <dev@example.org>"
        arguments = [item for parent in parents for item in ("-p", self.commits[parent])]
        self.commits[title] = self.git("commit-tree", self.git("write-tree"), *arguments, "-m", message,
                                       GIT_AUTHOR_DATE=date, GIT_COMMITTER_DATE=date)  # fmt: skip
        self.git("update-ref", "refs/heads/master", self.commits[title])
        return self.commits[title]

    def tag(self, name: str, title: str) -> None:
        self.git("tag", name, self.commits[title])
