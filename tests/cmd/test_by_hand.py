"""Bisecting by hand beside `git bisect`, command by command, on real repositories with fixed dates.

Each scenario is run by git and by firstbad in two clones: after every command both have the same revision checked out
(or named, without a checkout), and in the end the same commit. What firstbad printed is compared with a golden file;
FIRSTBAD_GOLDEN=write writes them anew, to be read before they are committed.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.support.histories import History

from firstbad.cli import main

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    """Forty commits: a main line, two topic branches merged into it, one side branch that is not, tags, two paths."""
    history = History(tmp_path_factory.mktemp("origin") / "repo")
    history.commit("base", {"README": "base"})
    for number in range(1, 13):
        part = "lib" if number % 3 == 0 else "app"
        history.commit(f"m{number}", {f"{part}/m{number}.c": str(number)})
    for number in range(1, 7):
        history.commit(f"t{number}", {f"net/t{number}.c": str(number)}, ["m4"] if number == 1 else None)
    history.commit("merge t", {"app/merge.c": "t"}, ["m12", "t6"])
    for number in range(13, 23):
        part = "lib" if number % 3 == 0 else "app"
        history.commit(f"m{number}", {f"{part}/m{number}.c": str(number)}, ["merge t"] if number == 13 else None)
    for number in range(1, 5):
        history.commit(f"s{number}", {f"fs/s{number}.c": str(number)}, ["m10"] if number == 1 else None)
    history.commit("m23", {"app/m23.c": "23"}, ["m22"])
    for number, title in enumerate(("base", "m3", "m8", "m15", "m20")):
        history.tag(f"v{number}", title)
    history.git("branch", "side", history.commits["s4"])
    history.git("update-ref", "refs/heads/master", history.commits["m23"])
    return history


@dataclass
class Pair:
    """The same repository twice: one for git, one for firstbad."""

    origin: History
    git: Path
    ours: Path
    transcript: str = ""

    def head(self, path: Path, name: str) -> str:
        for ref in (name, "HEAD"):
            done = self._git(path, "rev-parse", "-q", "--verify", ref, check=False)
            if done.returncode == 0:
                return self.title(done.stdout.strip())
        raise AssertionError("no HEAD")

    def title(self, commit: str) -> str:
        return next(title for title, name in self.origin.commits.items() if name == commit)

    def heads(self) -> tuple[str, str]:
        return self.head(self.git, "BISECT_HEAD"), self.head(self.ours, "FIRSTBAD_HEAD")

    def _git(self, path: Path, *args: str, check: bool = True):
        env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "LC_ALL": "C"}
        return subprocess.run(["git", "-C", str(path), *args], capture_output=True, text=True, check=check, env=env)

    def both(self, *args: str):
        """One command of git itself in both."""
        for path in (self.git, self.ours):
            self._git(path, *args)
        self.transcript += f"$ git {' '.join(args)}\n"

    def bisect(self, *args: str) -> str:
        """`git bisect ARGS`; all that it says."""
        done = self._git(self.git, "bisect", *args, check=False)
        return done.stdout + done.stderr

    def firstbad(self, *args: str, exit_code: int | None = None) -> str:
        result = CliRunner().invoke(main, list(args))
        assert exit_code is None or result.exit_code == exit_code, result.output
        text = result.output.replace(str(self.ours), "/repo")
        self.transcript += f"$ firstbad {' '.join(args)}\n{text}"
        if result.exit_code:
            self.transcript += f"(exit status {result.exit_code})\n"
        return text

    def say(self, *args: str) -> None:
        """The same words to both; they stand at the same revision then."""
        self.bisect(*args)
        self.firstbad(*args)
        git, ours = self.heads()
        assert ours == git, f"after {args}: git tests {git}, we test {ours}"

    def search(self, culprit: str, old: str = "good", new: str = "bad", broken: frozenset[str] = frozenset()) -> int:
        """Answer by the truth until git knows; returns the number of answers."""
        for number in range(40):
            if self.culprit():
                return number
            here = self.heads()[0]
            self.say("skip" if here in broken else new if self.has(here, culprit) else old)
        raise AssertionError("no end")

    def has(self, revision: str, culprit: str) -> bool:
        names = (self.origin.commits[culprit], self.origin.commits[revision])
        return self._git(self.git, "merge-base", "--is-ancestor", *names, check=False).returncode == 0

    def culprit(self) -> str:
        """What `git bisect log` names, "" before that."""
        last = self.bisect("log").splitlines()[-1:]
        return last[0].rpartition("] ")[2] if last and last[0].startswith("# first ") else ""

    def same_answer(self, culprit: str) -> None:
        assert self.culprit() == culprit
        log = self.firstbad("log", exit_code=0)
        assert log.splitlines()[-1].endswith(f"[{self.origin.commits[culprit]}] {culprit}")
        theirs = self.bisect("log")
        assert self.replay(log) == self.replay(theirs)

    def replay(self, log: str) -> tuple[str, str]:
        """Where git stands, and what it names, after `git bisect replay`."""
        file = self.git.parent / "replay.log"
        file.write_text(log)
        self.bisect("reset")
        self.bisect("replay", str(file))
        return self.heads()[0], self.culprit()


@pytest.fixture
def pair(origin, tmp_path, monkeypatch, request):
    paths = (tmp_path / "git", tmp_path / "ours")
    for path in paths:
        shutil.copytree(origin.path, path)
        for words in (("reset", "-q", "--hard", "master"), ("config", "user.email", "a@example.org")):
            subprocess.run(["git", "-C", str(path), *words], check=True, capture_output=True)
    monkeypatch.chdir(paths[1])
    monkeypatch.setenv("FIRSTBAD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TZ", "UTC")
    found = Pair(origin, *paths)
    yield found
    if "no_golden" in request.fixturenames:
        return
    golden = GOLDEN / f"{re.sub('[^a-z]+', '_', request.node.name.removeprefix('test_')).strip('_')}.txt"
    if os.environ.get("FIRSTBAD_GOLDEN") == "write":
        golden.write_text(found.transcript)
    assert found.transcript == golden.read_text()


@pytest.fixture
def no_golden():
    """For tests whose words others show already."""


def test_basic(pair):
    pair.say("start")
    pair.say("bad")
    pair.say("good", "v1")
    pair.search("m11")
    pair.same_answer("m11")
    pair.firstbad("status", exit_code=0)
    pair.say("reset")
    assert pair.origin.git("-C", str(pair.ours), "symbolic-ref", "--short", "HEAD") == "master"


def test_one_line(pair):
    pair.say("start", "master", "v0", "v1", "v2", "--")
    pair.search("t5")
    pair.same_answer("t5")


@pytest.mark.parametrize("culprit", ["m1", "t1", "t6", "merge t", "m23"])
def test_any_culprit(pair, no_golden, culprit):
    pair.say("start", "HEAD", "v0")
    pair.search(culprit)
    pair.same_answer(culprit)


def test_reset(pair):
    pair.both("checkout", "-q", "--detach", "v3")
    pair.say("start", "master", "v1")
    pair.say("start", "master", "v2")  # begins anew; where it goes back to stays
    pair.say("reset")
    assert pair.heads() == ("m15", "m15")
    pair.say("start", "master", "v1")
    pair.say("reset", "v1")
    pair.say("start", "master", "v1")
    pair.say("bad")
    pair.say("reset", "HEAD")
    pair.say("reset")
    pair.firstbad("next", exit_code=2)


def test_old_new(pair):
    pair.say("start")
    pair.say("new")
    pair.say("old", "v2")
    pair.say("bad")  # refused by both
    pair.firstbad("terms", exit_code=0)
    pair.search("m17", "old", "new")
    pair.same_answer("m17")


@pytest.mark.parametrize(("old", "new"), [("fast", "slow"), ("broken", "fixed")])
def test_own_terms(pair, old, new):
    pair.say("start", f"--term-old={old}", "--term-new", new)
    pair.firstbad("terms", "--term-old", exit_code=0)
    pair.say(new)
    pair.say(old, "v1")
    pair.search("m14", old, new)
    pair.same_answer("m14")


def test_fix(pair):
    """A search for a fix with good and bad as people mean them; git has to be told the other way round."""
    pair.bisect("start", "master", "v1")
    pair.firstbad("start", "--fix", "master", "v1", exit_code=0)
    while not pair.culprit():
        git, ours = pair.heads()
        assert git == ours
        fixed = pair.has(git, "m16")
        pair.bisect("bad" if fixed else "good")
        pair.firstbad("good" if fixed else "bad", exit_code=0)
    assert pair.replay(pair.firstbad("log", exit_code=0))[1] == "m16"


def test_skip(pair):
    pair.bisect("start", "HEAD", "v1")
    pair.firstbad("start", "HEAD", "v1", exit_code=0)
    for words in (("skip",), ("skip", "v2", "v2..v3"), ("skip", "t1..t3")):
        words = tuple(
            word.replace("t1", pair.origin.commits["t1"]).replace("t3", pair.origin.commits["t3"]) for word in words
        )
        pair.bisect(*words)
        pair.firstbad(*words, exit_code=0)
    answer(pair, "m19")
    assert "first bad commit: " + pair.origin.commits["m19"] in pair.transcript


def answer(pair, culprit):
    """We alone, by the truth, until there is an answer."""
    for _ in range(20):
        here = pair.heads()[1]
        text = pair.firstbad("bad" if pair.has(here, culprit) else "good")
        if "first bad commit" in text:
            return
    raise AssertionError("no answer")


def test_only_skipped_left(pair):
    start = ("start", pair.origin.commits["m8"], pair.origin.commits["m4"])
    pair.bisect(*start)
    pair.firstbad(*start, exit_code=0)
    for title in ("m5", "m6", "m7"):
        said = pair.bisect("skip", pair.origin.commits[title])
        ours = pair.firstbad("skip", pair.origin.commits[title])
    named = {line for line in said.splitlines() if line in pair.origin.commits.values()}
    assert named == {pair.origin.commits[title] for title in ("m5", "m6", "m7", "m8")}
    assert all(commit[:12] in ours for commit in named)


def test_another_revision_is_tested(pair):
    pair.say("start", "HEAD", "v1")
    pair.both("reset", "-q", "--hard", "HEAD~2")
    pair.say("good")
    pair.search("m17")
    pair.same_answer("m17")


def test_paths(pair):
    pair.say("start", "HEAD", "v1", "--", "lib", "net")
    pair.search("m18")
    pair.same_answer("m18")


def test_paths_without_dashes(pair):
    # git's manual has the dashes as optional; git 2.39 forgets the paths without them.
    pair.bisect("start", "HEAD", "v1", "--", "lib")
    pair.firstbad("start", "HEAD", "v1", "lib", exit_code=0)
    pair.search("m9")
    pair.same_answer("m9")


def test_first_parent(pair):
    pair.say("start", "--first-parent", "HEAD", "v1")
    pair.search("merge t")
    pair.same_answer("merge t")


def test_no_checkout(pair):
    pair.say("start", "--no-checkout", "HEAD", "v1")
    pair.search("m11")
    assert pair.origin.git("-C", str(pair.ours), "rev-parse", "HEAD") == pair.origin.commits["m23"]
    pair.say("reset")


def test_merge_base(pair):
    """The good revision is on a branch of its own: its fork is tested first."""
    pair.say("start", "master", "side")
    assert pair.heads() == ("m10", "m10")
    pair.say("good")
    pair.search("m14")
    pair.same_answer("m14")


def test_bad_merge_base(pair):
    pair.say("start", "master", "side")
    pair.say("bad")
    pair.firstbad("undo", exit_code=0)


def test_log_and_replay(pair):
    pair.say("start", "HEAD", "v1")
    pair.say("good")
    pair.say("bad")
    file = pair.ours.parent / "git.log"
    file.write_text(pair.bisect("log"))
    pair.firstbad("reset", exit_code=0)
    text = pair.firstbad("replay", str(file), exit_code=0).replace(str(file), "FILE")
    assert "Next: " in text
    pair.transcript = pair.transcript.replace(str(file), "git.log")
    assert pair.heads()[0] == pair.heads()[1]
    ours = pair.ours.parent / "ours.log"
    ours.write_text(pair.firstbad("log", "--git", exit_code=0))
    pair.bisect("reset")
    pair.bisect("replay", str(ours))
    assert pair.heads()[0] == pair.heads()[1]


def test_replay_of_git_with_terms_and_flags(pair):
    pair.bisect("start", "--term-old", "fast", "--term-new", "slow", "--first-parent", "HEAD", "v1", "--", "lib", "app")
    pair.bisect("slow")
    file = pair.ours.parent / "git.log"
    file.write_text(pair.bisect("log"))
    pair.firstbad("replay", str(file), exit_code=0)
    pair.transcript = pair.transcript.replace(str(file), "git.log")
    assert pair.heads()[0] == pair.heads()[1]
    pair.search("m9", "fast", "slow")
    pair.same_answer("m9")


def test_local_changes(pair):
    for path in (pair.git, pair.ours):
        (path / "app" / "m23.c").write_text("mine")
    pair.say("start", "HEAD", "v1")  # refused by git in both
    assert (pair.ours / "app" / "m23.c").read_text() == "mine"
    pair.both("checkout", "-q", "--", "app/m23.c")
    pair.firstbad("next", exit_code=0)


def test_mistakes(pair):
    pair.firstbad("good", exit_code=2)
    pair.firstbad("start", "nosuch", exit_code=2)
    pair.firstbad("start", "v1", "v2", exit_code=2)
    pair.firstbad("start", "HEAD", "v1", "--", "nosuch", exit_code=2)
    pair.firstbad("start", "--term-old", "skip", exit_code=2)
    pair.firstbad("start", "--term-old", "bad", exit_code=2)
    pair.firstbad("start", "HEAD", "v1", exit_code=0)
    pair.firstbad("good", "HEAD~1", "nosuch", exit_code=2)
    pair.firstbad("bad", "HEAD", "HEAD~1", exit_code=2)
    pair.firstbad("skip", "v2..nosuch", exit_code=2)
    pair.firstbad("skip", "v2..v2", exit_code=2)
    pair.firstbad("undo", "7", exit_code=2)
    pair.firstbad("good", "v4", exit_code=0)
    pair.firstbad("bad", "v3", exit_code=2)
    pair.firstbad("undo", exit_code=0)


def test_git_bisect_under_way(pair, monkeypatch):
    monkeypatch.chdir(pair.git)
    pair.bisect("start", "HEAD", "v1")
    pair.firstbad("start", "HEAD", "v1", exit_code=2)


def test_undo(pair):
    pair.say("start", "HEAD", "v1")
    before = pair.heads()[1]
    pair.firstbad("good", exit_code=0)
    pair.firstbad("bad", exit_code=0)
    pair.firstbad("undo", "2", exit_code=0)
    assert pair.heads()[1] == before
    pair.search("m11")
    pair.same_answer("m11")


def test_flaky(pair):
    """A test that fails one time in two: what was taken for certain becomes a question again, and is answered."""
    pair.firstbad("start", "HEAD", "v1", exit_code=0)
    pair.firstbad("good", exit_code=0)  # wrong: the bug is there and did not show
    pair.firstbad("flaky", "0.5", exit_code=0)
    for number in range(60):
        here = pair.heads()[1]
        fails = pair.has(here, "m7") and number % 2 == 0
        text = pair.firstbad("bad" if fails else "good")
        if "first bad commit" in text:
            break
    assert "first bad commit: " + pair.origin.commits["m7"] in text
    pair.firstbad("show", exit_code=0)
    assert pair.replay(pair.firstbad("log", exit_code=0))[1] == "m7"


def test_view(pair, capfd):
    pair.say("start", "HEAD", "v4")
    for name in ("view", "visualize"):
        CliRunner().invoke(main, [name, "--format=%s"])
        assert capfd.readouterr().out.split() == ["m23", "m22", "m21"]


def test_confirm(pair):
    """The parent that was never tested itself is offered, not forced."""
    pair.firstbad("start", "HEAD", "v2", exit_code=0)
    pair.firstbad("next", "--confirm", exit_code=2)
    answer(pair, "t1")
    pair.firstbad("next", "--confirm", exit_code=0)
    assert pair.heads()[1] == "m4"
    pair.firstbad("good", exit_code=0)
    pair.firstbad("next", "--confirm", exit_code=0)
