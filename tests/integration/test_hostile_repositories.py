"""Repositories that mean harm: what their commits hold, how their branches are called, what their settings say.

Everything is made and read by real git. Each trap writes a file where it is sprung, and the first test shows that they
are: git by itself runs into them.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from firstbad.audit.history import _files
from firstbad.cli import main
from firstbad.errors import UserError
from firstbad.history.apart import one_of_a_list
from firstbad.history.git import Repo
from firstbad.history.patch import patched_tree
from firstbad.history.releases import previous_releases, releases_at
from firstbad.history.repository import GitHistory
from firstbad.history.worktree import checkout
from firstbad.job import Job
from firstbad.project.trees import Trees
from firstbad.session.details import details_of, titles_of
from firstbad.session.source import Source

COMMITS, CULPRIT = 12, 7
ENV = {
    **os.environ,
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    **{
        f"GIT_{who}_{what}": text for who in ("AUTHOR", "COMMITTER") for what, text in (("NAME", "A"), ("EMAIL", "a@b"))
    },
}
HOOKS = ("fsmonitor-watchman", "post-checkout", "post-commit", "post-index-change", "post-merge", "pre-commit",
         "reference-transaction", "pre-auto-gc", "applypatch-msg")  # fmt: skip


def git(path: Path, *words: str | bytes, check: bool = True, **env: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(path), *words], env={**ENV, **env}, stdin=subprocess.DEVNULL, capture_output=True, timeout=60
    )
    assert not check or done.returncode == 0, done.stderr
    return done.stdout.decode("utf-8", "replace").rstrip("\n")


class Hostile:
    """A line of commits, of which each from the culprit on fails; ``sprung`` says which traps were."""

    def __init__(self, root: Path, name: str = "repo") -> None:
        self.root, self.repo, self.traps = root, root / name, root / "sprung"
        self.traps.mkdir(exist_ok=True)
        self.repo.mkdir()
        git(self.repo, "init", "-q", "-b", "main", ".")
        self.hashes: list[str] = []

    def trap(self, name: str, then: str = "cat") -> str:
        """A program that tells that it was started, then does what filters do."""
        program = self.root / f"trap-{name}"
        program.write_text(f"#!/bin/sh\ntouch '{self.traps}/{name}'\n{then}\n")
        program.chmod(0o755)
        return str(program)

    def commit(self, message: str = "", **env: str) -> str:
        i = len(self.hashes)
        (self.repo / "prog").write_text(f"# {i}\n{'exit 1' if i >= CULPRIT else 'exit 0'}\n")
        (self.repo / "n").write_text(f"{i}\n")
        git(self.repo, "add", ".")
        when = {"GIT_COMMITTER_DATE": f"{1_700_000_000 + i} +0000", **env}
        git(self.repo, "commit", "-q", "--no-verify", "-m", message or f"change {i}", **when)
        self.hashes.append(git(self.repo, "rev-parse", "HEAD"))
        return self.hashes[-1]

    def line(self) -> "Hostile":
        while len(self.hashes) < COMMITS:
            self.commit()
        return self

    @property
    def sprung(self) -> set[str]:
        return {path.name for path in self.traps.iterdir()}

    def run(self, *words: str, status: int = 0, good: str = "", bad: str = "", **env: str) -> dict[str, object]:
        """``firstbad run``; its JSON, and what it said in ``err``."""
        (self.root / "tmp").mkdir(exist_ok=True)
        ours = {"FIRSTBAD_HOME": str(self.root / "home"), "TMPDIR": str(self.root / "tmp")}
        ends = ["--good", good or self.hashes[0], "--bad", bad or self.hashes[-1]]
        done = subprocess.run(
            [sys.executable, "-m", "firstbad", "run", "--json", *ends, "--", *(words or ("sh", "./prog"))],
            cwd=self.repo, env={**ENV, **ours, **env}, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == status, (done.stdout, done.stderr)
        return (json.loads(done.stdout) if done.stdout else {}) | {"err": done.stderr}


@pytest.fixture
def hostile(tmp_path):
    return Hostile(tmp_path)


@pytest.fixture
def trapped(tmp_path):
    """All that a repository's settings can name as a program, and attributes that name those settings."""
    made = Hostile(tmp_path)
    (made.repo / ".gitattributes").write_text("* filter=evil diff=evil merge=evil\n")
    made.line()
    for hook in HOOKS:
        file = made.repo / ".git/hooks" / hook
        file.parent.mkdir(exist_ok=True)
        file.write_text(Path(made.trap(f"hook-{hook}")).read_text())
        file.chmod(0o755)
    programs = {
        "core.fsmonitor": "fsmonitor", "core.pager": "pager", "core.editor": "editor", "core.sshCommand": "ssh",
        "core.askPass": "askpass", "core.gitProxy": "proxy", "core.alternateRefsCommand": "alternates",
        "credential.helper": "credential", "diff.external": "external", "diff.evil.command": "diff",
        "diff.evil.textconv": "textconv", "filter.evil.clean": "clean", "filter.evil.smudge": "smudge",
        "filter.lfs.smudge": "lfs", "merge.evil.driver": "merge", "gpg.program": "gpg", "gpg.ssh.program": "gpg-ssh",
        "interactive.diffFilter": "difffilter", "sequence.editor": "sequence", "uploadpack.packObjectsHook": "pack",
        "hook.evil.command": "hook",
    }  # fmt: skip
    for key, name in programs.items():
        git(made.repo, "config", key, made.trap(name))
    settings = {
        "log.showSignature": "true", "filter.evil.required": "true", "protocol.ext.allow": "always",
        "color.ui": "always", "color.grep": "always", "diff.noprefix": "true", "core.quotePath": "true",
        "hook.evil.event": "post-index-change",
    }  # fmt: skip
    for key, value in settings.items():
        git(made.repo, "config", key, value)
    for alias in ("log", "show", "rev-parse", "checkout", "status"):
        git(made.repo, "config", f"alias.{alias}", f"!{made.trap('alias')}")
    for path in made.traps.iterdir():
        path.unlink()  # by git in the lines above
    return made


def test_the_traps_work(trapped):
    """Git by itself runs into them: what is sprung nowhere below would prove nothing."""
    (trapped.repo / "n").write_text("changed\n")
    git(trapped.repo, "status", check=False)
    git(trapped.repo, "diff", check=False)
    git(trapped.repo, "blame", "n", check=False)
    git(trapped.repo, "checkout", "-q", "-f", "HEAD~3", check=False)
    assert {"fsmonitor", "diff", "textconv", "clean", "smudge", "hook-post-checkout"} <= trapped.sprung


def test_a_bisection_starts_no_program_that_the_repository_names(trapped):
    assert trapped.run()["commits"] == [trapped.hashes[CULPRIT]]
    assert trapped.sprung == set()


def test_reading_starts_no_program_that_the_repository_names(trapped, tmp_path):
    repo, (first, *_, last) = Repo(trapped.repo), trapped.hashes
    history = GitHistory(repo)
    assert len(history.range(last, [first]).hashes) == COMMITS
    assert history.touched(last, [first])[last] == {"n", "prog"}
    assert history.title(last) == f"change {COMMITS - 1}"
    assert "\x1b" not in repo.show(last) + repo.patch(last)
    assert f"+{COMMITS - 1}" in repo.patch(last)
    assert repo.difference(first, last).startswith(b"diff --git ")
    job = Job(repo=trapped.repo, config=trapped.repo / "n", repro=trapped.repo / "n")
    assert details_of(repo, job, last)["files"] == ["n", "prog"]
    assert titles_of(repo, [last]) == {last: f"change {COMMITS - 1}"}
    assert _files(repo, last) == ("n", "prog")
    assert Source(repo, last).files_at(last, "exit") == []
    assert trapped.sprung == set()


def test_a_builders_checkout_starts_no_program_that_the_repository_names(trapped, tmp_path):
    repo, place = Repo(trapped.repo), tmp_path / "src"
    for commit in (trapped.hashes[3], trapped.hashes[-1], trapped.hashes[5]):
        checkout(repo, place, commit)
        assert (place / "n").read_text() == f"{trapped.hashes.index(commit)}\n"
        (place / "n").write_text("touched by a build\n")
    assert trapped.sprung == set()


def test_patches_are_merged_by_git_alone(trapped, tmp_path):
    beside = Repo(trapped.repo).beside(tmp_path / "objects")
    patch = beside.difference(trapped.hashes[4], trapped.hashes[5]).replace(b"-# 4", b"-# 3").replace(b"-4\n", b"-4\n")
    tree = git(trapped.repo, "rev-parse", f"{trapped.hashes[4]}^{{tree}}")
    try:
        patched_tree(beside, tree, patch)
    except UserError:
        pass  # what does not fit is refused, by git's own words
    made = patched_tree(beside, tree, beside.difference(trapped.hashes[4], trapped.hashes[5]))
    assert made == git(trapped.repo, "rev-parse", f"{trapped.hashes[5]}^{{tree}}")
    assert trapped.sprung == set()


def test_missing_files_are_fetched_by_no_program(hostile):
    """A partial clone whose promised remote is a command line."""
    hostile.line()
    git(hostile.repo, "config", "uploadpack.allowFilter", "true")
    partial = hostile.root / "partial"
    git(hostile.root, "clone", "-q", "--no-checkout", "--filter=blob:none", f"file://{hostile.repo}", str(partial))
    git(partial, "config", "remote.origin.url", f"ext::{hostile.trap('transport', 'exit 1')}")
    git(partial, "config", "protocol.ext.allow", "always")
    assert "can't be checked out" in str(Hostile.run(_at(hostile, partial), status=2)["err"])
    with pytest.raises(Exception, match="can't check"):
        checkout(Repo(partial), hostile.root / "src", hostile.hashes[3])
    assert Repo(partial).blob(hostile.hashes[3], "n") is None
    assert hostile.sprung == set()
    git(partial, "cat-file", "-p", f"{hostile.hashes[3]}:n", check=False)
    assert hostile.sprung == {"transport"}  # git by itself


def _at(hostile: Hostile, repo: Path) -> Hostile:
    hostile.repo = repo
    return hostile


NAMES = [
    "-rf", "--upload-pack=touch x", "$(touch sprung)", "`id`", "a;touch b", "a&b", "a|b", "it's", 'say "no"', "%s%n",
    "\u202edesrever", "a\u2028b", "a\u0085b", "v9.9\u00a0v9.8", "v9.9\u2003v9.8", "n", "prog", "HEAD", "FETCH_HEAD",
    "refs/heads/main", "a" * 40, "0" * 40, "main", "\N{SNOWMAN}", "@", "x@y", "a,b", "a=b", "-", "--", "v9.7-rc1",
]  # fmt: skip


def test_names_of_branches_and_tags_are_names(hostile):
    """Whatever git allows: options, commands, blanks that are none of ASCII's, files' names, bytes that are no text."""
    hostile.line()
    head = hostile.hashes[-1]
    made = set()
    for name in NAMES:
        for kind in ("heads", "tags"):
            done = subprocess.run(["git", "-C", hostile.repo, "update-ref", f"refs/{kind}/{name}", head], env=ENV,
                                  capture_output=True, check=False)  # fmt: skip
            made |= {name} if done.returncode == 0 else set()
    assert len(made) > 20
    subprocess.run(["git", "-C", hostile.repo, "update-ref", b"refs/tags/v9.6\xff\xfe", head], env=ENV, check=True)
    git(hostile.repo, "tag", "v1.0", hostile.hashes[0])
    git(hostile.repo, "branch", "v1.0", hostile.hashes[9])  # a branch of a release's name
    git(hostile.repo, "branch", "-f", hostile.hashes[2], head)  # one that looks like another commit
    test = (
        "git for-each-ref --format='%(refname)' >names; git show-ref --verify -q refs/heads/main || exit 200; sh ./prog"
    )
    assert hostile.run("sh", "-c", test)["commits"] == [hostile.hashes[CULPRIT]]
    history = GitHistory(Repo(hostile.repo))
    assert history.releases(head) == (("v1.0", hostile.hashes[0]),)
    assert [one.tag for one in previous_releases(Repo(hostile.repo), head)] == ["v1.0"]
    assert [one.tag for one in releases_at(Repo(hostile.repo), head)] == ["v9.7-rc1"]
    assert not list(hostile.root.rglob("sprung/*"))
    assert history.resolve(hostile.hashes[2]) == hostile.hashes[2]


@pytest.mark.parametrize(
    "name",
    ["-rf", "--output=x", "main@{yesterday}", "main@{-9}", ":/change", ":n", "no such", "main..main", "$(id)", ""],
)
def test_revisions_that_are_none(hostile, name, monkeypatch):
    hostile.line()
    monkeypatch.setenv("FIRSTBAD_HOME", str(hostile.root / "home"))
    monkeypatch.chdir(hostile.repo)
    result = CliRunner().invoke(main, ["run", "--good", name, "--bad", "main", "--", "sh", "./prog"])
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("firstbad: ")
    assert result.stderr.count("\n") == 1
    assert not (hostile.repo / "x").exists()


def test_completion_offers_nothing_that_a_shell_would_run(hostile):
    hostile.line()
    for name in ("$(touch x)", "a;b", "fine/name-1.2"):
        git(hostile.repo, "update-ref", f"refs/heads/{name.replace(' ', '')}", hostile.hashes[-1])
    asked = {"_FIRSTBAD_COMPLETE": "bash_complete", "COMP_WORDS": "firstbad good ", "COMP_CWORD": "2"}
    done = subprocess.run(
        [sys.executable, "-c", "from firstbad.cli import main; main(prog_name='firstbad')"],
        cwd=hostile.repo, env={**ENV, **asked}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    offered = {line.partition(",")[2] for line in done.stdout.split("\n") if line}
    assert {"HEAD", "main", "fine/name-1.2"} <= offered
    assert not any(set(name) & set("$;()`&|<> ") for name in offered)


def test_paths_of_repositories_are_paths(tmp_path):
    """Colons part git's lists of directories."""
    made = Hostile(tmp_path, 'a:b "c" \\ $(touch x);\u202e -d').line()
    assert made.run()["commits"] == [made.hashes[CULPRIT]]
    checkout(Repo(made.repo), tmp_path / "src", made.hashes[4])
    assert (tmp_path / "src/n").read_text() == "4\n"
    beside = Repo(made.repo).beside(tmp_path / "objects")
    patched_tree(beside, f"{made.hashes[4]}^{{tree}}", beside.difference(made.hashes[4], made.hashes[5]))
    assert one_of_a_list("/plain") == "/plain"


MODULES = [
    ("present", "ext::{trap}", "lib", ""),
    ("present", "file://{secret}", "lib", "!{trap}"),
    ("present", "../secret", "lib", ""),
    ("present", "file://{secret}", ":/", ""),
    ("present", "file://{secret}", ":(glob)**", ""),
    ("../../../secret/.git", "file://{secret}", "lib", ""),
    ("{secret}/.git", "file://{secret}", "lib", ""),
    ("absent", "file://{secret}", "lib", ""),
    ("absent", "ext::{trap}", "lib", "!{trap}"),
    ("present", "file://{secret}", "gone", ""),
    ("present", "-u{trap}", "-lib", ""),
    ("present\nx", "file://{secret}", "lib", ""),
]


@pytest.mark.parametrize(("name", "url", "path", "update"), MODULES)
def test_submodules_come_from_nowhere_else(hostile, name, url, path, update):
    """Only submodules of the user's own clone are there, from there; nothing that a revision says is fetched or run."""
    secret = Hostile(hostile.root, "secret").line()
    words = {"trap": hostile.trap("module", "exit 1"), "secret": str(secret.repo)}
    module = hostile.repo / ".git/modules/present"
    git(hostile.root, "clone", "-q", "--bare", str(secret.repo), str(module))
    row = {"path": path, "url": url.format(**words), "update": update.format(**words)}
    file = hostile.repo / ".gitmodules"
    for commit in range(COMMITS):
        if commit == 2:
            quoted = name.format(**words).replace("\n", "\\n")
            rows = "".join(f"\t{key} = {json.dumps(value)}\n" for key, value in row.items() if value)
            others = '[submodule "other"]\n\tpath = other\n\turl = "file://' + str(secret.repo) + '"\n'
            file.write_text(f'[submodule "{quoted}"]\n{rows}{others}')
            for link in ("lib", "other"):
                git(hostile.repo, "update-index", "--add", "--cacheinfo", f"160000,{secret.hashes[3]},{link}")
        git(
            hostile.repo,
            "-c",
            "advice.addEmbeddedRepo=false",
            "add",
            ".gitmodules" if commit == 2 else ".",
            check=False,
        )
        (hostile.repo / "lib").mkdir(exist_ok=True)
        (hostile.repo / "other").mkdir(exist_ok=True)
        hostile.commit()
    trees = Trees(Repo(hostile.repo), hostile.root / "trees", 1 << 30)
    place = trees.fresh(hostile.hashes[-1])
    assert (place / "n").read_text() == f"{COMMITS - 1}\n"
    theirs = {str(path.relative_to(place)) for path in place.rglob("prog")} - {"prog"}
    assert theirs == ({"lib/prog"} if (name, path, "!" in update) == ("present", "lib", False) else set())
    assert hostile.sprung == set()


def test_links_lead_nowhere(hostile):
    """Symbolic links that point outside, become directories, and take the place of directories while a test runs."""
    victim = hostile.root / "victim"
    victim.mkdir()
    (victim / "file").write_text("mine\n")
    for commit in range(COMMITS):
        place = hostile.repo / "out"
        if commit % 2:
            place.unlink(missing_ok=True)
            place.mkdir()
            (place / "file").write_text(f"theirs {commit}\n")
        else:
            if place.is_dir():
                (place / "file").unlink()
                place.rmdir()
            place.symlink_to(victim)
        (hostile.repo / "README").write_text("1\n")
        (hostile.repo / "readme").write_text("2\n")
        hostile.commit()
    swaps = f"test -L out || {{ rm -r out; ln -s {victim} out; }}; mkdir -p new; ln -sf {victim} new/link; sh ./prog"
    assert hostile.run("sh", "-c", swaps)["commits"] == [hostile.hashes[CULPRIT]]
    for commit in hostile.hashes:
        checkout(Repo(hostile.repo), hostile.root / "src", commit)
    assert [path.name for path in victim.iterdir()] == ["file"]
    assert (victim / "file").read_text() == "mine\n"


def test_attributes_name_filters_that_are_not_there(hostile):
    """What a tree says of filters means nothing where nobody set them up: files are what the commit holds."""
    (hostile.repo / ".gitattributes").write_text(
        "* filter=lfs\n*.c filter=evil working-tree-encoding=UTF-16\nn ident\n"
    )
    hostile.line()
    assert hostile.run()["commits"] == [hostile.hashes[CULPRIT]]
    checkout(Repo(hostile.repo), hostile.root / "src", hostile.hashes[2])
    assert (hostile.root / "src/prog").read_text() == "# 2\nexit 0\n"


def test_files_larger_than_memory_may_be(hostile, monkeypatch):
    """Much of a file or of a difference is never read at once."""
    from firstbad.history import git as module

    monkeypatch.setattr(module, "_LARGEST", 1 << 20)
    with (hostile.repo / "Makefile").open("wb") as file:
        file.truncate(20 << 20)
    (hostile.repo / "long").write_text("line\n" * 2_000_000)
    hostile.line()
    repo, last = Repo(hostile.repo), hostile.hashes[-1]
    assert len(repo.blob(last, "Makefile") or "") == 1 << 20
    assert repo.blob(last, "no such") is None
    first = hostile.hashes[0]
    assert len(repo.patch(first)) <= 1 << 20
    assert "Binary files /dev/null and b/Makefile differ" in repo.patch(first)
    assert "long" in repo.show(first)


_COLOURS = re.compile(rb"\x1b\[[0-9;]*m")
# Control characters, also those of two bytes in UTF-8, and signs that turn text around.
_STEERS = re.compile(
    rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]"
)
MESSAGES = [
    "\x1b]0;owned\x07\x1b[2J\x1b[31m title",
    "\u202eeltit \u2066\u200e\u2069",
    "<script>alert(1)</script> [/nothing][bold]",
    "title\n\n# first bad commit: [" + "0" * 40 + "] forged\ngit bisect good " + "0" * 40,
    "x" * 5_000,
    "title\r\nSubject: forged\r\n\r\nbody",
    "\N{LINE SEPARATOR}title\x85\x0b\x0ctitle\x1c\x1d\x1e",
    'title"; touch sprung; $(touch sprung) `touch sprung`',
]


def test_messages_names_and_addresses_stay_text(hostile):
    """Every command that shows commits, on a terminal: nothing steers it, no line is forged."""
    for i in range(COMMITS):
        name = f"{MESSAGES[0]} \u202e{i}"
        hostile.commit(MESSAGES[i % len(MESSAGES)], GIT_AUTHOR_NAME=name, GIT_AUTHOR_EMAIL="a\x1b[31m@\u202eb")
    culprit = hostile.hashes[CULPRIT]
    hostile.run()
    for words in (["show"], ["log", "--git"], ["report"]):
        said = _on_a_terminal(hostile, *words)
        assert not _STEERS.search(_COLOURS.sub(b"", said)), (words, said)
        assert b"\n# first bad commit: [" + b"0" * 40 not in said, words
    assert culprit[:12].encode() in _on_a_terminal(hostile, "show")
    assert not list(hostile.root.rglob("sprung/*"))


def _on_a_terminal(hostile: Hostile, *words: str) -> bytes:
    ours, theirs = os.openpty()
    env = {**ENV, "FIRSTBAD_HOME": str(hostile.root / "home"), "TERM": "xterm-256color", "COLUMNS": "200"}
    process = subprocess.Popen(
        [sys.executable, "-m", "firstbad", *words],
        cwd=hostile.repo,
        env=env,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    said = b""
    try:
        while block := os.read(ours, 1 << 16):
            said += block
    except OSError:
        pass  # so a terminal ends
    os.close(ours)
    process.wait()
    return said
