"""What people say of revisions, and what others ran: evidence that may be wrong, and that can be taken back.

A verdict of a person (``firstbad mark``) stands in place of all runs of its revision, whenever they were made, and the
revision is not run again while it stands; taken back, the runs count as before. So the order in which runs and opinions
came makes no difference. A rejected culprit (``firstbad reject``) becomes improbable, and the runs that made it the
culprit, its own and its parents', are doubted.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from firstbad.inference import Evidence

Says = Literal["good", "bad", "ignore", "wrong"]

# Chance that a person errs: small, for somebody looked into this one revision, and not zero, or one slip of the
# keyboard could never be outweighed by any number of runs elsewhere.
PERSON_ERROR = 0.01
# Chance that runs which led to a rejected culprit are wrong about their revision: each of them still speaks for what it
# showed, three to one, and no longer decides.
DOUBTED_ERROR = 0.25
# Chance that what was run elsewhere is wrong about its revision, however often it was run. Of 4,846 revisions of public
# bisections with known truth, read as `gathered.py` reads them, 6.4% of the bad ones come out good and 1.2% of the good
# ones bad (docs/import.md); another compiler or machine would add to that.
TOLD_ERROR = 0.05
# Lost runs that a revision counts for which could not be tested elsewhere: it and its neighbours are rather not tried.
TOLD_SKIP = 8


@dataclass(frozen=True)
class Opinion:
    """What somebody said of a revision: ``good`` and ``bad`` of the crash, in a search for a fix too; ``wrong``: it is
    not the culprit. ``parents`` of a rejected culprit. ``time``: seconds since the epoch."""

    commit: str
    says: Says
    who: str = ""
    why: str = ""
    time: float = 0.0
    undo: bool = False
    parents: tuple[str, ...] = ()

    @property
    def slot(self) -> tuple[str, bool]:
        """Opinions of one slot replace each other."""
        return self.commit, self.says == "wrong"

    def words(self) -> str:
        """For a line of the log, without the time."""
        what = "not the culprit" if self.says == "wrong" else self.says
        verb = "took back: " if self.undo else "says: "
        return f"{self.who or 'somebody'} {verb}{self.commit} {what}{f' ({self.why})' if self.why else ''}"

    def to_event(self) -> dict[str, Any]:
        """As event data; the event has the time."""
        names = ("commit", "says", "who", "why", "undo")
        return {name: getattr(self, name) for name in names} | {"parents": list(self.parents)}


def opinion_of(data: Mapping[str, Any], time: float) -> Opinion:
    """Inverse of :meth:`Opinion.to_event`."""
    names = ("commit", "says", "who", "why", "undo")
    return Opinion(**{name: data[name] for name in names}, time=time, parents=tuple(data["parents"]))


@dataclass
class Opinions:
    """All opinions of a job, in order, and those that stand."""

    said: list[Opinion] = field(default_factory=list)
    standing: dict[tuple[str, bool], Opinion] = field(default_factory=dict)

    def add(self, opinion: Opinion) -> None:
        """Take one in; the last of its slot counts."""
        self.said.append(opinion)
        self.standing.pop(opinion.slot, None)
        if not opinion.undo:
            self.standing[opinion.slot] = opinion

    def __iter__(self) -> Iterator[Opinion]:
        return iter(self.standing.values())

    def verdict(self, commit: str) -> Literal["good", "bad", "ignore", ""]:
        """What stands of a revision; empty for most."""
        found = self.standing.get((commit, False))
        return found.says if found is not None and found.says != "wrong" else ""

    def rejected(self) -> tuple[str, ...]:
        """Commits that are said not to be the culprit."""
        return tuple(sorted(one.commit for one in self if one.says == "wrong"))

    def doubted(self, commit: str) -> bool:
        """Whether a revision's runs led to a rejected culprit."""
        return any(one.says == "wrong" and commit in (one.commit, *one.parents) for one in self)

    def settled(self, commit: str) -> bool:
        """Whether no more runs of a revision are wanted."""
        return bool(self.verdict(commit)) or self.doubted(commit)

    def commits(self) -> set[str]:
        """Every revision that any opinion, standing or not, is or was about."""
        return {commit for one in self.said for commit in (one.commit, *one.parents)}


def weigh(opinions: Opinions, commit: str, own: Evidence, told: Evidence) -> Evidence:
    """What is known of a revision: its own runs and those of others, as far as people let them count."""
    verdict = opinions.verdict(commit)
    if verdict == "ignore":
        return Evidence()
    if verdict:
        return Evidence(words=((verdict == "bad", PERSON_ERROR),))
    if opinions.doubted(commit) and own.counts:
        own = Evidence(told=((own.without_reach(), DOUBTED_ERROR),))
    return own.plus(told)


def told_evidence(crashes: int, clean: int, lost: int) -> Evidence:
    """Runs that were made elsewhere. How often the bug shows there says little of how often it shows here, so that any
    crash is one word; clean runs count by their number, as our own crash rate has it."""
    if crashes:
        return Evidence(words=((True, TOLD_ERROR),))
    if clean:
        return Evidence(told=((Evidence(clean=clean), TOLD_ERROR),))
    return Evidence(lost=TOLD_SKIP if lost else 0)
