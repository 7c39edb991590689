"""A directory for each revision that looks like a checkout of it, built once and kept.

Each is a repository of its own that borrows the user's objects (``objects/info/alternates``) and has its branches and
tags, so that ``git describe`` and friends say what they would say there; nothing is written into the user's
repository. A build begins in an empty directory: no revision sees what another one left. The directories stay, for
further runs and for other jobs with the same build command, until they take more than their share of the disk.
"""

import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import IO

from firstbad.disk import bytes_on_disk
from firstbad.errors import InfrastructureError, UserError, not_killed
from firstbad.history.apart import promised
from firstbad.history.git import Repo, complaint
from firstbad.history.worktree import AS_COMMITTED
from firstbad.locks import try_lock

# Paths are no patterns; references lie in files, whatever is the user's choice for new repositories.
_OURS = {"GIT_LITERAL_PATHSPECS": "1", "GIT_DEFAULT_REF_FORMAT": "files", **AS_COMMITTED}
_ERROR = 2000  # letters of a failed build's output that are kept


@dataclass(frozen=True)
class Made:
    """A revision's build. ``error`` is empty where it succeeded; ``seconds`` it took when it was made."""

    error: str = ""
    seconds: float = 0.0


class Trees:
    """The directories of one repository and build command under ``root``; ``budget`` in bytes."""

    def __init__(self, repo: Repo, root: Path, budget: int) -> None:
        self.repo, self.root, self.budget = repo, root, budget
        root.mkdir(parents=True, exist_ok=True)

    def at(self, commit: str) -> Path:
        """Where a revision is kept; its places for runs are below."""
        return self.root / commit[:16]

    @contextmanager
    def lock(self, commit: str, stopped: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Nobody else makes or changes a revision's directory meanwhile. Raises InfrastructureError where it is
        ``stopped`` before others are done."""
        directory = self.at(commit)
        with self._file(commit, "lock") as lock:
            while not try_lock(lock):
                if stopped():
                    raise InfrastructureError("the session is ending")
                time.sleep(0.05)
            directory.mkdir(exist_ok=True)
            os.utime(directory)  # when it was used last
            yield

    def _file(self, commit: str, name: str) -> IO[str]:
        """A file to lock, beside the directories: those come and go."""
        (self.root / ".locks").mkdir(exist_ok=True)
        return (self.root / ".locks" / f"{self.at(commit).name}.{name}").open("a+")

    def use(self, commit: str) -> IO[str]:
        """Have a revision's directory stay, until the file that is returned is closed."""
        used = self._file(commit, "use")
        fcntl.flock(used, fcntl.LOCK_SH)
        return used

    @contextmanager
    def place_of_ones_own(self, commit: str) -> Iterator[int]:
        """The first place of a revision that nobody uses, in no process of this host."""
        for number in count():
            with self._file(commit, f"place{number}") as lock:
                if try_lock(lock):
                    yield number
                    return

    def made(self, commit: str) -> Made | None:
        """The build that is kept; None: there is none yet."""
        try:
            return Made(**json.loads((self.at(commit) / "made.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def keep(self, commit: str, made: Made) -> None:
        """A build has ended. ``place`` 0 holds it."""
        file = self.at(commit) / "made.json"
        file.with_suffix(".new").write_text(json.dumps(asdict(made)))
        file.with_suffix(".new").rename(file)

    def place(self, commit: str, number: int) -> Path:
        """Directory of one worker at a revision."""
        return self.at(commit) / f"place{number}" / self._name

    @cached_property
    def _name(self) -> str:
        """As the user's own directory is called: some builds go by it."""
        return self.repo.common_dir().resolve().parent.name or "tree"

    def fresh(self, commit: str) -> Path:
        """An empty place 0 with the revision checked out. Raises UserError where its files are missing."""
        directory = self.place(commit, 0)
        for old in self.at(commit).glob("place*"):
            _remove(old)
        (self.at(commit) / "made.json").unlink(missing_ok=True)
        directory.mkdir(parents=True)
        try:
            self._begin(directory)
            self._check_out(directory, commit)
        except OSError as error:
            raise InfrastructureError(f"can't make {directory}: {error.strerror}") from error
        return directory

    def another(self, commit: str, number: int) -> Path:
        """A further place, as the build left place 0."""
        directory = self.place(commit, number)
        if not (directory.parent / "whole").exists():
            _remove(directory.parent)
            directory.parent.mkdir(parents=True)
            first = self.place(commit, 0)
            words = ["cp", "-a", "--reflink=auto", str(first), str(directory)]
            done = subprocess.run(words, capture_output=True, check=False)
            not_killed(f"cp of {first}", done.returncode)
            if done.returncode:
                raise InfrastructureError(f"can't copy {first}: {done.stderr.decode(errors='replace').strip()[-200:]}")
            (directory.parent / "whole").touch()
        return directory

    def collect(self, keep: frozenset[str]) -> None:
        """Remove what was used longest ago until the rest fits the budget; the commits of ``keep`` stay."""
        spared = {".locks", *(self.at(commit).name for commit in keep)}
        found = sorted((path for path in self.root.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
        sizes = {path: bytes_on_disk(path) for path in found}
        total = sum(sizes.values())
        for path in found:
            if total <= self.budget:
                return
            if path.name not in spared and self._remove_unused(path):
                total -= sizes[path]

    def _remove_unused(self, path: Path) -> bool:
        with self._file(path.name, "use") as used:
            free = try_lock(used)
            if free:
                _remove(path)
            return free

    def _begin(self, directory: Path) -> None:
        """A repository without commits of its own that sees all of the user's."""
        own = _Own(directory)

        def run(*words: str) -> None:
            if not own.git(*words):
                raise InfrastructureError(f"git {words[0]} failed in {directory}: {own.said}")

        run("init", "--quiet", "--template=", f"--object-format={self._source['format']}", ".")
        git = directory / ".git"
        (git / "info").mkdir(exist_ok=True)
        (git / "objects/info").mkdir(parents=True, exist_ok=True)
        (git / "objects/info/alternates").write_bytes(os.fsencode(self._source["objects"]) + b"\n")
        (git / "packed-refs").write_text(self._source["refs"], errors="surrogateescape")
        for name in ("shallow", "info/sparse-checkout"):
            if name in self._source:
                (git / name).write_text(self._source[name], errors="surrogateescape")
        for key, value in self._settings:
            run("config", key, value)

    @cached_property
    def _source(self) -> dict[str, str]:
        """What a place takes over from the user's repository."""
        git = self.repo.git
        words = ("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags", "refs/remotes")
        refs = self.repo.run(*words).stdout.decode("utf-8", "surrogateescape")
        lines = [line for line in refs.split("\n") if line and not line.endswith("/HEAD")]
        found = {
            "format": git("rev-parse", "--show-object-format").strip(),
            "objects": str(self.repo.place("objects")),
            "refs": "".join(f"{line}\n" for line in sorted(lines, key=lambda line: line.split(" ", 1)[1])),
        }
        names = ["shallow"]
        if git("config", "--type=bool", "--get", "core.sparseCheckout", check=False).strip() == "true":
            names.append("info/sparse-checkout")
        for name in names:
            file = self.repo.place(name)
            if file.is_file():
                found[name] = file.read_text(errors="surrogateescape")
        return found

    @cached_property
    def _settings(self) -> list[tuple[str, str]]:
        settings = [("gc.auto", "0"), ("advice.detachedHead", "false"), ("core.hooksPath", "/dev/null")]
        for key in ("remote.origin.url", "core.autocrlf", "core.sparseCheckout", "core.sparseCheckoutCone"):
            value = self.repo.git("config", "--get", key, check=False).strip()
            if value:
                settings.append((key, value))
        return settings + promised(self.repo)  # what a partial clone lacks is fetched from where it would be

    def _check_out(self, directory: Path, commit: str) -> None:
        own = _Own(directory)
        if not own.git("-c", "core.hooksPath=/dev/null", "checkout", "--quiet", "--force", "--detach", commit):
            raise UserError(
                f"{self.repo.path}: {commit[:12]} can't be checked out: {own.said}; "
                "if its files were never fetched (a shallow or partial clone), fetch them first"
            )
        self._submodules(directory, self.repo.common_dir())

    def _submodules(self, directory: Path, git_dir: Path) -> None:
        """The submodules that are there in the user's clone, from there; others stay empty, as they are there.

        ``.gitmodules`` is the revision's: nothing that it names is fetched from where it says, or by a program.
        """
        if not (directory / ".gitmodules").is_file() or (directory / ".gitmodules").is_symlink():
            return
        own = _Own(directory)
        listed = own.read("config", "-z", "-f", ".gitmodules", "--get-regexp", r"^submodule\..*\.path$")
        for row in filter(None, listed.split("\0")):
            key, _, path = row.partition("\n")
            name = key.removeprefix("submodule.").removesuffix(".path")
            module = git_dir / "modules" / name
            wanted = own.link(path)
            if not _is_submodule(name) or not wanted or not (module / "HEAD").is_file():
                continue
            update = ("submodule", "--quiet", "update", "--init", "--checkout", "--no-fetch", "--", path)
            fetched = ("submodule", "--quiet", "update", "--init", "--checkout", "--", path)
            allow = ("-c", "protocol.allow=never", "-c", "protocol.file.allow=always")
            told = own.git("config", f"submodule.{name}.url", str(module))
            if told and (own.git(*allow, *update) or own.git(*allow, *fetched)):
                self._submodules(directory / path, module)
            elif not Repo(module).has(wanted):
                raise UserError(
                    f"{self.repo.path}: the submodule {path} lacks what {directory.name} needs ({own.said}); "
                    f"fetch it: git -C {path} fetch --all"
                )
            # Else git does not take what the revision says of it, and it stays empty, as with git.

    # What a test did to its place.

    def baseline(self, directory: Path) -> None:
        """Remember what a place looks like after the build."""
        (directory.parent / "baseline").write_text(_status(directory))

    def restore(self, directory: Path) -> list[str]:
        """Undo what a test changed: files of the commit as they were, new ones that git does not ignore are removed.

        Returns their names. What git ignores stays: it is where builds lie.
        """
        try:
            before = set((directory.parent / "baseline").read_text().split("\0"))
        except OSError:
            before = set()
        changed = [row for row in _status(directory).split("\0") if row and row not in before]
        own, names = _Own(directory), [row[3:] for row in changed]
        for row in changed:
            path = directory / row[3:]
            if row.startswith("??"):
                _remove(path)
            else:
                own.git("checkout", "--quiet", "--force", "HEAD", "--", row[3:])
        return names


class _Own:
    """git in a directory of ours, without what the environment says of other repositories."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.said = directory, ""

    def git(self, *words: str) -> bool:
        """Whether it worked; ``said`` is its last line where not."""
        done = Repo(self.directory).run(*words, check=False, env=_OURS)
        self.said = complaint(done) or f"status {done.returncode}"
        return done.returncode == 0

    def read(self, *words: str) -> str:
        return Repo(self.directory).git(*words, check=False)

    def link(self, path: str) -> str:
        """The other repository's commit (full hash) that the commit has there; empty if none."""
        found = Repo(self.directory).run("ls-files", "-z", "--stage", "--", path, check=False, env=_OURS).stdout
        is_link = found.startswith(b"160000 ") and found.count(b"\0") == 1
        return found.split()[1].decode() if is_link else ""


def _is_submodule(name: str) -> bool:
    """Whether it names one of those in the user's own repository, and nothing elsewhere."""
    return name.isprintable() and not name.startswith(("/", "-")) and not {"", ".", ".."} & set(name.split("/"))


def _status(directory: Path) -> str:
    words = ("status", "--porcelain", "-z", "--untracked-files=all", "--no-renames", "--ignore-submodules=none")
    return Repo(directory).git(*words, check=False)


def _remove(path: Path) -> None:
    """Remove whatever is there, directories without permissions too."""

    def again(function: object, name: str, _: object) -> None:
        os.chmod(Path(name).parent, 0o700)  # noqa: PTH101
        if Path(name).is_dir():
            os.chmod(name, 0o700)  # noqa: PTH101
        try:
            Path(name).unlink()
        except OSError:
            pass

    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, onerror=again)
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
