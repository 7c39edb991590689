"""One git repository, asked by subprocess: never through a shell, revisions after ``--end-of-options``."""

import errno
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

from firstbad.errors import InfrastructureError, NotFoundError, UserError, not_killed


@dataclass(frozen=True)
class Commit:
    """What a person wants to know of a commit; ``message`` is the whole message."""

    hash: str
    title: str
    author_email: str
    message: str
    parents: tuple[str, ...]
    author_name: str
    date: datetime
    """When it was written, by the author's clock and time zone."""
    commit_date: datetime
    """When it was committed to the tree that it lies in."""


# Set where we are called by git itself (a hook, an alias, `git bisect run`): about another repository than ours.
_ANOTHERS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX")
# A repository is hostile input: no hooks, no program that watches files or checks signatures, none in place of a
# transport; no colours in what is read; no differences of files that are too large to be read.
_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "log.showSignature=false",
    "protocol.ext.allow=never",
    "color.ui=never",
    "core.bigFileThreshold=16m",
)
_LARGEST = 32 << 20  # bytes of a file or of a commit with its diff that are read
COMMIT_FORMAT = "%H%x00%P%x00%ae%x00%an%x00%aI%x00%cI%x00%s%x00%B"
_MESSAGES = 1 << 16  # bytes of git's complaints that are searched
_NEVER = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


# What git says where a disk, memory or the repository fails, and not what it was asked for.
_LACKS = ("ENOSPC", "EDQUOT", "EIO", "EROFS", "ENOMEM", "EAGAIN", "EMFILE", "ENFILE", "ESTALE")
_BROKEN = re.compile(
    r"^(?:(?:fatal|error): |/).*(?:"
    + "|".join(re.escape(os.strerror(getattr(errno, name))) + "$" for name in _LACKS)
    + r"|is corrupt\b|is empty$|unable to unpack |inflate: |hash mismatch|garbage at end of loose object"
    r"|too long, exceeds |unable to read (?:tree|[0-9a-f]{40})|[Oo]ut of memory|Out of diskspace|write error"
    r"|(?:[Uu]nable to|[Ff]ailed to|[Cc]ouldn't) write )",
    re.MULTILINE,
)


def _broken(messages: bytes) -> str:
    """The first complaint of git that says nothing of what it was asked; empty where there is none."""
    text = messages[:_MESSAGES].decode("utf-8", "replace")
    found = _BROKEN.search(text)
    return text[found.start() :].split("\n", 1)[0].strip() if found else ""


def complaint(done: subprocess.CompletedProcess[bytes]) -> str:
    """The last line of what git said on stderr, where the reason stands; empty where it said nothing."""
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else ""


def parse_commit(text: str) -> Commit:
    """A commit from what git prints with ``COMMIT_FORMAT``. Raises ValueError for anything else."""
    full, parents, email, name, date, commit_date, title, message = text.split("\0", 7)
    words = tuple(parents.split())
    return Commit(full, title, email, message.rstrip("\n"), words, name, _date(date), _date(commit_date))


def inherited() -> dict[str, str]:
    """This process's environment without what it says of a repository that git was called in."""
    return {name: value for name, value in os.environ.items() if name not in _ANOTHERS}


def one_of_a_list(path: str) -> str:
    """A path as one of those in GIT_ALTERNATE_OBJECT_DIRECTORIES, which colons part (git(1))."""
    if ":" not in path and not path.startswith('"'):
        return path
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _date(text: str) -> datetime:
    # Git prints what a broken commit says, which may be no date at all.
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return _NEVER


def _beginning(command: list[str], env: dict[str, str], most: int) -> subprocess.CompletedProcess[bytes]:
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=messages, env=env)
        with process:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            said = process.stdout.read(most)
            cut = bool(process.stdout.read(1))
            if cut:
                process.kill()
        messages.seek(0)
        return subprocess.CompletedProcess(command, 0 if cut else process.returncode, said, messages.read(_MESSAGES))


class Repo:
    """A git repository on this machine; what git adds to it goes to the directory ``objects`` instead, where given."""

    def __init__(self, path: Path, objects: Path | None = None) -> None:
        self.path, self.objects = path, objects
        self._checked = False

    def beside(self, objects: Path) -> "Repo":
        """The same repository, whose new objects lie in a directory of their own (made if it is not there)."""
        objects.mkdir(parents=True, exist_ok=True)
        return Repo(self.path, objects)

    @cached_property
    def _own_objects(self) -> dict[str, str]:
        if self.objects is None:
            return {}
        theirs = str(Repo(self.path).place("objects"))
        return {
            "GIT_OBJECT_DIRECTORY": str(self.objects),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": one_of_a_list(theirs),
        }

    def git(self, *args: str, check: bool = True, binary_input: bytes | None = None) -> str:
        """Run git and return its output (undecodable bytes replaced). Raises InfrastructureError."""
        return self.run(*args, check=check, binary_input=binary_input).stdout.decode("utf-8", "replace")

    def run(
        self,
        *args: str,
        check: bool = True,
        binary_input: bytes | None = None,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
        most: int = 0,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run git in this repository (or ``cwd``) with settings that its own configuration can't change.

        ``most``: bytes of output after which it is ended and all is well: what a repository holds may be larger than
        this machine's memory.
        """
        command, env = self._command(args, cwd), self._environment(env)
        try:
            if most:
                done = _beginning(command, env, most)
            else:
                done = subprocess.run(command, capture_output=True, env=env, input=binary_input, check=False)
        except FileNotFoundError:
            raise InfrastructureError("git is not installed (apt-get install git)") from None
        # SIGPIPE: what git had started (to fetch) was gone when git wrote to it; that one said why.
        if done.returncode != -signal.SIGPIPE:
            not_killed(f"git {args[0]}", done.returncode)
        broken = _broken(done.stderr) if done.returncode else ""
        if broken:  # no answer to what was asked, whatever the status says
            raise InfrastructureError(f"git {args[0]} failed in {self.path}: {broken}")
        if check and done.returncode:
            raise InfrastructureError(f"git {args[0]} failed in {self.path}: {complaint(done) or done.returncode}")
        return done

    def _command(self, args: tuple[str, ...], cwd: Path | None) -> list[str]:
        settings = (word for setting in _SETTINGS for word in ("-c", setting))
        return ["git", *settings, "-C", str(cwd or self.path), *args]

    def _environment(self, env: dict[str, str] | None) -> dict[str, str]:
        return {
            **inherited(),
            **self._own_objects,
            **(env or {}),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_PAGER": "cat",
            "LC_ALL": "C",
            "GIT_OPTIONAL_LOCKS": "0",
        }

    def check(self) -> None:
        """Raise UserError unless this is a git repository with at least one commit."""
        done = self.run("rev-parse", "--git-dir", check=False)
        if done.returncode:
            detail = done.stderr.decode("utf-8", "replace").strip()
            if "dubious ownership" in detail:
                raise UserError(
                    f"{self.path}: belongs to another user (git config --global --add safe.directory {self.path})"
                )
            raise UserError(f"{self.path}: not a git repository")
        if not self.git("rev-list", "-n1", "--all").strip():
            raise UserError(f"{self.path}: the repository is empty (no commits)")
        self._checked = True

    def resolve(self, revision: str) -> str:
        """Full hash of a revision. Raises UserError for one that begins with '-', NotFoundError if unknown."""
        if revision.startswith("-") or not revision.strip():
            raise UserError(f"not a revision: {revision!r}")
        if not self._checked:
            self.check()
        done = self.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}", check=False)
        if done.returncode:
            raise NotFoundError(f"{self.path}: unknown revision: {revision}")
        return done.stdout.decode().strip()

    def commit(self, revision: str) -> Commit:
        """Facts of one commit."""
        commit = self.resolve(revision)
        done = self.run("log", "-1", f"--format={COMMIT_FORMAT}", "--end-of-options", commit, most=_LARGEST)
        try:
            return parse_commit(done.stdout.decode("utf-8", "replace"))
        except ValueError:
            raise InfrastructureError(f"{self.path}: the commit {commit[:12]} can't be read") from None

    def show(self, revision: str) -> str:
        """The commit as ``git bisect`` prints the culprit: header, message, stat; no diff."""
        return self._show("--stat=128", revision)

    def patch(self, revision: str) -> str:
        """The commit with its diff (of a merge: to all parents, combined)."""
        return self._show("--patch", revision)

    def _show(self, what: str, revision: str) -> str:
        # A repository's own configuration may name programs for diffs: none of them is run.
        plain = ("--no-color", "--no-show-signature", "--no-ext-diff", "--no-textconv", "--format=medium")
        done = self.run("show", *plain, what, "--end-of-options", revision, most=_LARGEST)
        return done.stdout.decode("utf-8", "replace").rstrip("\n")

    def contains(self, tip: str, commit: str) -> bool:
        """Whether a commit, by any name, is ``tip`` or one of its ancestors; an unknown one is not."""
        try:
            return self.is_ancestor(self.resolve(commit), self.resolve(tip))
        except NotFoundError:
            return False

    def has(self, commit: str) -> bool:
        """Whether a commit is there, by its hash, which may be cut."""
        return self.run("cat-file", "-e", f"{commit}^{{commit}}", check=False).returncode == 0

    def difference(self, old: str, new: str) -> bytes:
        """A patch from one full hash to another that names its blobs in full, so that it can be merged."""
        words = ("diff-tree", "-p", "--binary", "--full-index", "--no-ext-diff", "--no-textconv", "--no-renames")
        return self.run(*words, "--end-of-options", old, new).stdout

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether ``old`` is ``new`` or one of its ancestors; full hashes."""
        done = self.run("merge-base", "--is-ancestor", "--end-of-options", old, new, check=False)
        if done.returncode not in (0, 1):
            raise InfrastructureError(f"git merge-base failed in {self.path}")
        return done.returncode == 0

    def tree(self, revision: str) -> str:
        """Hash of the commit's tree: equal trees build equal kernels."""
        return self.git("rev-parse", "--verify", "--end-of-options", f"{revision}^{{tree}}").strip()

    def blob(self, revision: str, path: str) -> str | None:
        """Text of one file at a revision, the beginning of a very large one; None where it is not there."""
        done = self.run("cat-file", "-p", f"{revision}:{path}", check=False, most=_LARGEST)
        if b"Not a valid object name" in done.stderr:  # as git says where the file is in the tree and its object gone
            raise InfrastructureError(f"{self.path}: {path} of {revision[:12]} is missing: run git fsck")
        return None if done.returncode else done.stdout.decode("utf-8", "replace")

    def common_dir(self) -> Path:
        """The repository's own git directory, shared by its worktrees."""
        return self._named("--git-common-dir")

    def place(self, name: str) -> Path:
        """Where a file of its git directory is (``objects``, ``shallow``), by that name or the one git has moved it to.

        As all paths here whatever their bytes: a directory's name need not be UTF-8.
        """
        return self._named("--git-path", name)

    def git_dir(self) -> Path:
        """The git directory of this work tree."""
        return self._named("--git-dir")

    def top(self) -> Path | None:
        """The work tree's top directory; None where there is none."""
        done = self.run("rev-parse", "--show-toplevel", check=False)
        return Path(os.fsdecode(done.stdout.removesuffix(b"\n"))) if done.stdout.strip() else None

    def _named(self, *words: str) -> Path:
        done = self.run("rev-parse", "--path-format=absolute", *words)
        return Path(os.fsdecode(done.stdout.removesuffix(b"\n")))

    def check_depth(self, new: str, olds: Sequence[str]) -> None:
        """A shallow clone ends somewhere: a search between them has to end before. Raises UserError."""
        if self.git("rev-parse", "--is-shallow-repository").strip() != "true":
            return
        edge = set(self.place("shallow").read_text().split())
        between = set(self.git("rev-list", "--end-of-options", new, *(f"^{old}" for old in olds)).split())
        if edge & between:
            raise UserError(
                f"{self.path}: a shallow clone whose history ends between good and bad; fetch the rest of it first: "
                "git fetch --unshallow"
            )
