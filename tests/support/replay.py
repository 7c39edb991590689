"""A real ``git bisect replay`` of a log, in a clone of its own."""

import os
import subprocess
from pathlib import Path

ENV = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "LC_ALL": "C"}


def replay(repo: Path, text: str, scratch: Path) -> str:
    """What git says at the end. The clone has next to no work tree, so that a kernel's is not written."""
    clone = scratch / "clone"
    if not clone.exists():
        git(scratch, "clone", "-q", "--shared", "--no-checkout", str(repo), str(clone))
        git(clone, "sparse-checkout", "set", "--no-cone", "/no-such-file")
    log = scratch / "git.log"
    log.write_text(text)
    said = git(clone, "bisect", "replay", str(log), most=2)  # 2: only skipped commits are left
    git(clone, "bisect", "reset")
    return said


def git(where: Path, *args: str, most: int = 0) -> str:
    done = subprocess.run(
        ["git", "-C", str(where), *args], capture_output=True, text=True, env={**os.environ, **ENV}, check=False
    )
    assert 0 <= done.returncode <= most, done.stdout + done.stderr
    return done.stdout
