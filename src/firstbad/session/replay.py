"""A job as a ``git bisect log``, so that ``git bisect replay`` stands where the job stands.

Verdicts are those of the final belief, not those of the day: what was believed of a revision may have been revised
since, and git takes every line for certain. git keeps one bad revision, the last that it was told, and looks for the
culprit among those of its ancestors that no good revision contains: so the deepest bad revision comes last, and good
ones that are not below it stay comments (git would ask for merge bases to be tested).

A bisection for a fix is told with git's own words turned round, ``bad`` where the crash is gone, as syzbot does it:
every git reads that, while the quoting of ``--term-new`` and ``--term-old`` in a log has changed between releases.
"""

from dataclasses import dataclass
from typing import Literal

from firstbad.errors import UserError
from firstbad.history.base import History
from firstbad.job import Job
from firstbad.report.writer import one_line
from firstbad.session.decide import Decider
from firstbad.session.question import Question, find_question, history_of, pinned
from firstbad.session.state import State, fold
from firstbad.session.steps import Means
from firstbad.store import Event

Word = Literal["good", "bad", "skip"]


@dataclass(frozen=True)
class _Marked:
    """A revision in git's words; ``note``: what git can't say of it."""

    commit: str
    word: Word
    note: str = ""


def git_bisect_log(job: Job, question: Question, state: State, history: History) -> str:
    """The log's text. Raises UserError where there is nothing to replay."""
    if job.kind == "test":
        raise UserError("a test of one revision is no bisection: there is nothing to replay")
    if not state.tests:
        raise UserError("nothing is tested yet: there is nothing to replay")
    return _Replay(question, state, history, job).text()


def git_log_of(job: Job, events: list[Event]) -> str:
    """The log of a job with these events, by its repository. Raises UserError."""
    history = history_of(job)
    question = find_question(history, pinned(job, events)) if job.kind != "test" else Question("cause", "")
    return git_bisect_log(job, question, fold(events, job.title), history)


class _Replay:
    def __init__(self, question: Question, state: State, history: History, job: Job) -> None:
        self.question, self.state, self.history = question, state, history
        self.decider = Decider(history, question, Means(1, job.machine.run_seconds))
        finished = state.finished or {}
        self.answer = finished["commits"][0] if finished.get("status") == "found" else ""
        self.parents: tuple[str, ...] = tuple(finished.get("parents", ()))

    def text(self) -> str:
        """Comments, the two ends, then a line for each revision."""
        marked, top = self._marked(), self._top()
        bads = [one for one in marked if one.word == "bad"]
        bad = self._deepest([one.commit for one in bads])
        good = [one for one in marked if one.word == "good" and self._below(one.commit, bad or top)]
        lines = [f"# firstbad: {words}" for words in self._head()]
        lines += self._named("bad", top) + [line for one in good[:1] for line in self._named("good", one.commit)]
        lines.append(f"git bisect start '{top}'" + (f" '{good[0].commit}'" if good else ""))
        last = [one for one in bads if one.commit == bad]
        for one in (*(one for one in marked if one.commit != bad and one not in good[:1]), *last):
            lines += self._lines(one, one.word != "good" or one in good)
        if self.answer:
            lines.append(f"# first bad commit: [{self.answer}] {self._title(self.answer)}")
        return "".join(line + "\n" for line in lines)

    def _head(self) -> list[str]:
        words = ["verdicts of the final belief; git takes them for certain, the job does not"]
        if self.question.kind == "fix":
            words.append("search for a fix: good means that the crash is there, bad that it is gone")
        return words

    def _top(self) -> str:
        """The end of the range that is bad in git's words. Raises UserError where it is not."""
        if self.question.kind == "cause":
            return self.question.start
        if self.decider.verdicts(self.state).get(self.question.head, "skip") != "good":
            raise UserError("the crash is not known to be gone at the head: git has nothing to search for yet")
        return self.question.head

    def _marked(self) -> list[_Marked]:
        """Each revision that was tested and lies in the range, in order, and what follows from the answer."""
        found = {commit: _Marked(commit, self._word(v)) for commit, v in self.decider.verdicts(self.state).items()}
        # The end of the range that has the bug (fix: that lost it) is told in the first line.
        top = self._top()
        found.pop(top, None)
        for commit, word in ((self.answer, "bad"), *((parent, "good") for parent in self.parents)):
            if commit not in ("", top) and (commit not in found or found[commit].word != word):
                follows = "follows from the answer; its own runs say nothing" if commit in found else "not tested"
                found[commit] = _Marked(commit, "bad" if word == "bad" else "good", follows)
        return list(found.values())

    def _word(self, verdict: Word) -> Word:
        if self.question.kind == "fix" and verdict != "skip":
            return "good" if verdict == "bad" else "bad"
        return verdict

    def _deepest(self, commits: list[str]) -> str:
        """The answer, or the bad revision below which the culprit is, as far as git can say."""
        if self.answer:
            return self.answer
        deepest = ""
        for commit in commits:
            if not deepest or self.history.is_ancestor(commit, deepest):
                deepest = commit
        return deepest

    def _below(self, commit: str, bad: str) -> bool:
        return commit != bad and self.history.is_ancestor(commit, bad)

    def _lines(self, one: _Marked, said: bool) -> list[str]:
        """What git writes for a verdict; only the comment where git may not be told."""
        note = [f"# firstbad: {one.note}"] if one.note else []
        note += [f"# firstbad: {one_line(said.words())}" for said in self.state.opinions if said.commit == one.commit]
        if not said:
            note.append("# firstbad: not below the bad revision, which git would ask about")
        return [*self._named(one.word, one.commit), *note, *([f"git bisect {one.word} {one.commit}"] if said else [])]

    def _named(self, word: Word, commit: str) -> list[str]:
        return [f"# {word}: [{commit}] {self._title(commit)}"]

    def _title(self, commit: str) -> str:
        return one_line(self.history.title(commit))
