"""``start``, ``good``, ``bad``, ``skip``, ``flaky``, ``next``, ``undo``, ``reset``: bisecting by hand, in the words of
``git bisect``."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from firstbad.cli.by_hand import by_hand, hand_json, print_lines
from firstbad.cli.output import say, say_json
from firstbad.cli.status import exit_of
from firstbad.errors import NotFoundError, UserError
from firstbad.hand.bisection import ByHand, Wanted
from firstbad.hand.gitlog import wanted_of
from firstbad.hand.graph import at_top
from firstbad.hand.search import Proposal
from firstbad.hand.state import Hand, Terms
from firstbad.hand.words import count, told
from firstbad.history.git import Repo
from firstbad.report.gitlog import is_git_log, read_git_log

_LARGEST = 16 << 20
_MOST_COMPLETED = 200
_PLAIN = re.compile(r"[\w.@+=:%/-]+")
# Words of this program or of git that would be ambiguous as terms; git refuses its own too.
_NO_TERMS = ("skip", "start", "next", "reset", "visualize", "view", "replay", "log", "run", "help", "terms", "undo")


def revisions(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Branches and tags that begin so, for the shell's completion; nothing outside of a repository."""
    base, dots, begun = incomplete.rpartition("..")
    names = Repo(Path.cwd()).git(
        "for-each-ref", f"--count={_MOST_COMPLETED}", "--format=%(refname:short)",
        *(f"refs/{kind}/{begun}*" for kind in ("heads", "tags", "remotes")),
        *(f"refs/{kind}/{begun}*/**" for kind in ("heads", "remotes")), check=False,
    )  # fmt: skip
    # A shell puts them on the line as they are: none that it would take for more than a word.
    found = ["HEAD", *(name for name in dict.fromkeys(names.split("\n")) if _PLAIN.fullmatch(name))]
    return [CompletionItem(base + dots + name) for name in found if name.startswith(begun)]


def own_term(name: str) -> click.Command | None:
    """The command for a word that the bisection under way has for one of its sides."""
    found = by_hand()
    side = found.hand().terms.side(name) if found else None
    return _answer(name) if side else None


@contextmanager
def _at_work() -> Iterator[ByHand]:
    work = ByHand(Path.cwd())
    with work.journal.locked():
        yield work


def proceed(work: ByHand, as_json: bool = False, confirm: bool = False) -> None:
    """Say what is next and check it out; exit as the other commands that bisect do."""
    hand, proposal = work.hand(), work.propose()
    where = "" if hand.start["checkout"] else "  (not checked out: FIRSTBAD_HEAD)"
    if confirm:
        _confirm(work, proposal, where)
        return
    if proposal.status == "test":
        work.go(proposal.commit, proposal.phase)
    if as_json:
        say_json(hand_json(work))
    else:
        print_lines(told(work.repo, hand, proposal, where))
    if proposal.status == "candidates":
        sys.exit(exit_of("candidates"))


def _confirm(work: ByHand, proposal: Proposal, where: str) -> None:
    """Go to what the answer rests on without a test of its own."""
    if proposal.status != "found":
        raise UserError("there is nothing to confirm yet: no commit is the answer (`firstbad next` goes on)")
    if not proposal.unproven:
        say("All that the answer rests on was tested itself.")
        return
    commit = proposal.unproven[0][0]
    work.go(commit, "confirm")
    say(f"Next, to be sure: {commit[:12]} {work.repo.commit(commit).title}{where}", style="bold")


def _paths(context: click.Context, words: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Revisions and paths: what stands behind ``--``, else from the first word on that is no revision (as git does)."""
    paths = context.meta.get("firstbad.paths")
    if paths is not None:
        return words[: len(words) - len(paths)], tuple(paths)
    repo = Repo(Path.cwd())
    for place, word in enumerate(words):
        try:
            repo.resolve(word)
        except NotFoundError:
            if not Path(word).exists():
                raise
            return words[:place], words[place:]
    return words, ()


class _Start(click.Command):
    """Remembers what stood behind ``--``, which click would forget."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            ctx.meta["firstbad.paths"] = args[args.index("--") + 1 :]
        return super().parse_args(ctx, args)


@click.command(cls=_Start, epilog="Example: firstbad start HEAD v1.2 v1.1 -- src/parser")
@click.argument("words", metavar="[BAD [GOOD...]] [--] [PATH...]", nargs=-1, shell_complete=revisions)
@click.option("--fix", is_flag=True, help="find the commit that mended it: [GOOD [BAD...]], good is where it is gone")
@click.option("--term-new", "--term-bad", "new", default="bad", metavar="WORD", help="your word for bad")
@click.option("--term-old", "--term-good", "old", default="good", metavar="WORD", help="your word for good")
@click.option("--first-parent", is_flag=True, help="follow only the first parents of merges")
@click.option("--no-checkout", is_flag=True, help="check nothing out; FIRSTBAD_HEAD names the revision to test")
@click.option(
    "--target", type=click.FloatRange(0.5, 1, True, True), default=0.99, help="flaky tests: stop when so sure"
)
@click.pass_context
def start(
    context: click.Context,
    words: tuple[str, ...],
    fix: bool,
    new: str,
    old: str,
    first_parent: bool,
    no_checkout: bool,
    target: float,
) -> None:
    """Begin to bisect by hand: you test, firstbad says which revision is next.

    The words are those of `git bisect`. Then say `firstbad good` or `firstbad bad` after each test, `firstbad skip`
    where it can't be tested, `firstbad flaky` if the test fails only sometimes. What you said is kept under .git;
    `firstbad reset` ends it and goes back to where you are now.
    """
    own = (old, new) != ("good", "bad")
    if fix and own:
        raise UserError("--fix has the words good and bad; leave it out where you have words of your own")
    terms = Terms("bad", "good") if fix else Terms(old, new)
    _check_terms(terms)
    found, paths = _paths(context, words)
    with _at_work() as work:
        again = work.journal.under_way
        work.start(Wanted(found, paths, terms, own or fix, fix, first_parent, not no_checkout, target))
        if again:
            say(f"Begun anew; what was said before is kept in {work.journal.last}")
        proceed(work)


def _check_terms(terms: Terms) -> None:
    for word in (terms.old, terms.new):
        wrong = word in _NO_TERMS or not word.replace("-", "").replace("_", "").isalnum() or word.startswith("-")
        if wrong:
            raise UserError(f"'{word}' can't be a word for a side: it means something else, or is no word")
    if terms.old == terms.new:
        raise UserError(f"both sides are called '{terms.old}': please use two different words")
    swapped = terms.old in ("bad", "new") or terms.new in ("good", "old")
    if swapped and terms != Terms("bad", "good"):
        word = min({terms.old, terms.new} & {"good", "bad", "old", "new"})
        raise UserError(f"can't change the meaning of '{word}'; for a search for a fix say --fix")


def _answer(word: str, text: str = "", many: bool = True) -> click.Command:
    def run(names: tuple[str, ...], runs: int) -> None:
        with _at_work() as work:
            work.say(word, names, runs)
            proceed(work)

    made: Callable[..., None] = click.argument(
        "names", metavar="[REV...]" if many else "[REV]", nargs=-1, shell_complete=revisions
    )(run)
    made = click.option(
        "--runs", type=click.IntRange(1, 100_000), default=1, help="how many runs showed it  [default: 1]"
    )(made)
    text = text or f"Say that a revision is {word}; HEAD, or what FIRSTBAD_HEAD names, by default."
    return click.command(word, help=text, epilog=f"Example: firstbad {word} HEAD~3")(made)


good = _answer(
    "good", "Say that the bug is not in revisions (HEAD by default), and go to the next revision.\n\nAfter `firstbad "
    "flaky` each good is one run's word, or that of --runs."
)  # fmt: skip
bad = _answer("bad", "Say that a revision (HEAD by default) has the bug, and go to the next revision.", many=False)
old = _answer("old", "Say that revisions (HEAD by default) are as before the change; for `good`.")
new = _answer("new", "Say that a revision (HEAD by default) is as after the change; for `bad`.", many=False)


@click.command(epilog="Example: firstbad skip; firstbad skip v2.5 v2.5..v2.6")
@click.argument("names", metavar="[REV|RANGE]...", nargs=-1, shell_complete=revisions)
def skip(names: tuple[str, ...]) -> None:
    """Say that revisions can't be tested (HEAD by default; A..B: those of B that are not in A)."""
    with _at_work() as work:
        commits = work.skip(names)
        if len(commits) > 1:
            say(f"{count(len(commits), 'revision')} skipped")
        proceed(work)


@click.command(epilog="Example: firstbad flaky 0.1")
@click.argument("rate", type=click.FloatRange(0, 1, min_open=True), required=False)
def flaky(rate: float | None) -> None:
    """Say that the test fails only sometimes, even where the bug is (RATE: in what share of runs, if you know).

    From then on a good is one run's word, those said since the search began included; a bad stays next to certain. The
    ends that were named at the start stay what they are. The answer comes with its probability.
    """
    with _at_work() as work:
        work.flaky(rate)
        proceed(work)


@click.command("next", epilog="Example: firstbad next")
@click.option("--confirm", is_flag=True, help="after the answer: what it rests on without a test of its own")
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
def next_(confirm: bool, as_json: bool) -> None:
    """Check out the revision to test next, or tell the answer."""
    with _at_work() as work:
        proceed(work, as_json, confirm)


@click.command(epilog="Example: firstbad undo 2")
@click.argument("number", metavar="[N]", type=click.IntRange(1), default=1)
def undo(number: int) -> None:
    """Take back the last answer, or the last N; then say it again as it should have been."""
    with _at_work() as work:
        for event in work.undo(number):
            say(f"Taken back: {_named(work, event.kind, event.data)}")
        proceed(work)


def _named(work: ByHand, kind: str, data: dict[str, Any]) -> str:
    if kind == "flaky":
        return "flaky"
    first = work.repo.commit(data["commits"][0])
    more = f" and {len(data['commits']) - 1} more" if len(data["commits"]) > 1 else ""
    return f"{data['word']} {first.hash[:12]} {first.title}{more}"


@click.command(epilog="Example: firstbad reset; firstbad reset HEAD")
@click.argument("revision", metavar="[REV]", required=False, shell_complete=revisions)
def reset(revision: str | None) -> None:
    """End the bisection by hand and go back to where it began, or to REV (HEAD: stay here)."""
    with _at_work() as work:
        if not work.journal.under_way:
            say("no bisection by hand is under way here: there is nothing to reset")
            return
        work.reset(revision or "")
        place, title = work.tree.place(), work.repo.commit("HEAD").title
        name = place[:12] if place == work.repo.resolve("HEAD") else place
        say(f"Now at {name} ({title}); what was said is kept in {work.journal.last}")


@click.command(epilog="Example: firstbad terms --term-old")
@click.option("--term-new", "--term-bad", "side", flag_value="new", help="only the word for new")
@click.option("--term-old", "--term-good", "side", flag_value="old", help="only the word for old")
def terms(side: str | None) -> None:
    """The words of the bisection under way for its two sides."""
    hand = ByHand(Path.cwd()).hand()
    if side:
        say(hand.terms.new if side == "new" else hand.terms.old)
        return
    say(f"{hand.terms.old}: before the change that is searched for; {hand.terms.new}: after it")


def _view(arguments: tuple[str, ...]) -> None:
    work = ByHand(Path.cwd())
    hand: Hand = work.hand()
    if not hand.ready:
        print_lines(told(work.repo, hand, Proposal("waiting")))
        return
    flags = ["--first-parent"] if hand.first_parent else []
    shown = arguments or ("--oneline", "--decorate")
    command = ["git", "log", *flags, *shown, hand.new, *(f"^{old}" for old in hand.olds), "--", *at_top(hand.paths)]
    sys.exit(subprocess.run(command, check=False, env=os.environ).returncode)


def _view_command(name: str) -> click.Command:
    return click.command(
        name,
        help="Show the commits that are left, by `git log`; what it is told is passed on to it.",
        epilog=f"Example: firstbad {name} --stat",
        context_settings={"ignore_unknown_options": True},
        hidden=name == "visualize",
    )(click.argument("arguments", metavar="[LOG OPTION]...", nargs=-1, type=click.UNPROCESSED)(_view))


@click.command(epilog="Example: git bisect log > FILE; git bisect reset; firstbad replay FILE")
@click.argument("file", metavar="FILE", type=click.File("rb"))
def replay(file: Any) -> None:
    """Begin with what a log of `git bisect` (or of `firstbad log`) says; - reads stdin."""
    data = file.read(_LARGEST + 1)
    text = data.decode(errors="replace")
    if len(data) > _LARGEST or not is_git_log(text):
        raise UserError(f"{file.name}: not a log of `git bisect`; other logs are for `firstbad import`")
    log = read_git_log(text)
    with _at_work() as work:
        work.start(wanted_of(log))
        words = work.hand().terms
        for revision, side in log.said[len(log.ends) :]:
            if side == "skip":
                work.skip([revision])
            else:
                work.say(words.word(side), [revision])
        proceed(work)


_VIEWS = (_view_command("view"), _view_command("visualize"))
COMMANDS = (start, good, bad, old, new, skip, flaky, next_, undo, reset, terms, *_VIEWS, replay)
