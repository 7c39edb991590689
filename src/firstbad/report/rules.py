"""Which rules hold a report back: reads ``reporting.toml``, where each is explained."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from firstbad.kernel.architecture import architecture
from firstbad.packaged import read_toml
from firstbad.report.hostile import one_line
from firstbad.report.story import Story
from firstbad.report.words import percent


@dataclass(frozen=True)
class Rule:
    """One table of the file. ``most``, ``least``, ``paths`` and ``commits`` are its condition's."""

    name: str
    when: str
    reason: str
    waivable: bool = False
    corrects: bool = False
    most: int = 0
    least: float = 0.0
    paths: tuple[str, ...] = ()
    commits: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """What the conditions look at."""

    story: Story
    recipients: int
    already: str = ""
    """What says that this bug was reported before."""
    unknown: str = ""
    """A mail about it of which it is not known whether it left."""
    hour: int = 0
    day: int = 0
    """Mails that went out, of all jobs."""
    per_hour: int = 1
    per_day: int = 1

    def words(self) -> dict[str, str]:
        """The fields of the reasons."""
        story = self.story
        claims = story.culprit.claims if story.culprit else ()
        return {
            "status": story.status,
            "confidence": percent(story.confidence),
            "limit": percent(story.limit),
            "arch": story.arch,
            "rate": percent(story.crash_rate or 0.0),
            "claim": one_line(f"{claims[0].kind} it: {claims[0].commit[:12]} {claims[0].title}") if claims else "",
            "candidates": str(len(story.candidates)),
            "recipients": str(self.recipients),
            "already": self.already,
            "unknown": self.unknown,
            **{name: str(getattr(self, name)) for name in ("hour", "day", "per_hour", "per_day")},
        }


@dataclass(frozen=True)
class Held:
    """A rule that holds a report back, and why."""

    name: str
    reason: str
    waivable: bool


@cache
def rules() -> tuple[Rule, ...]:
    """All rules, in the order of the file."""
    return tuple(_rule(table) for table in read_toml(__package__, "reporting.toml")["rules"])


def _rule(table: dict[str, Any]) -> Rule:
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    return Rule(**fields)


def held_back(facts: Facts, waived: Collection[str] = (), correction: bool = False) -> list[Held]:
    """The rules that hold; none: it may be sent. ``waived`` rules are left out where that is allowed, and of a
    ``correction`` those that are not about it."""
    words = facts.words()
    return [
        Held(rule.name, rule.reason.format_map(words), rule.waivable)
        for rule in rules()
        if CONDITIONS[rule.when](facts, rule)
        and not (rule.waivable and rule.name in waived)
        and (rule.corrects or not correction)
    ]


def _only_other_architectures(facts: Facts, _: Rule) -> bool:
    culprit = facts.story.culprit
    if culprit is None or not culprit.files:
        return False
    own = architecture(facts.story.arch).srcarch
    # User-mode Linux is built from its own directory and from the host's.
    ours = {f"arch/{name}/" for name in ({own, "x86"} if own == "um" else {own})}
    return all(name.startswith("arch/") and not name.startswith(tuple(ours)) for name in culprit.files)


def _only_paths(facts: Facts, rule: Rule) -> bool:
    touched = facts.story.culprit.files if facts.story.culprit else ()
    return bool(touched) and all(any(_lies(name, path) for path in rule.paths) for name in touched)


def _lies(name: str, path: str) -> bool:
    return name.startswith(path) if path.endswith("/") else fnmatchcase(name, path)


def _claimed(facts: Facts, _: Rule) -> bool:
    return bool(facts.story.culprit and facts.story.culprit.claims)


def _rare_unproved(facts: Facts, rule: Rule) -> bool:
    rate = facts.story.crash_rate
    return facts.story.kind == "cause" and rate is not None and rate < rule.least and facts.story.proof != "gone"


def _listed(facts: Facts, rule: Rule) -> bool:
    return facts.story.culprit is not None and facts.story.culprit.hash in rule.commits


CONDITIONS: dict[str, Callable[[Facts, Rule], bool]] = {
    "private": lambda facts, _: facts.story.private,
    "unfinished": lambda facts, _: facts.story.open,
    "no_commit": lambda facts, _: not facts.story.open and not facts.story.candidates,
    "unsure": lambda facts, _: bool(facts.story.candidates) and facts.story.confidence < facts.story.limit,
    "rejected": lambda facts, _: any(one.hash in facts.story.rejected for one in facts.story.candidates),
    "noop": lambda facts, _: bool(facts.story.culprit and facts.story.culprit.noop),
    "merge": lambda facts, _: bool(facts.story.culprit and facts.story.culprit.is_merge),
    "release": lambda facts, _: bool(facts.story.culprit and facts.story.culprit.is_release),
    "only_paths": _only_paths,
    "only_other_architectures": _only_other_architectures,
    "listed": _listed,
    "no_recipients": lambda facts, _: not facts.recipients,
    "sent": lambda facts, _: bool(facts.already),
    "fate_unknown": lambda facts, _: bool(facts.unknown),
    "hourly": lambda facts, _: facts.hour >= facts.per_hour,
    "daily": lambda facts, _: facts.day >= facts.per_day,
    "still_crashes": lambda facts, _: facts.story.proof == "still",
    "rare_unproved": _rare_unproved,
    "claimed": _claimed,
    "foreign": lambda facts, _: facts.story.foreign,
    "many_candidates": lambda facts, rule: len(facts.story.candidates) > rule.most,
    "many_recipients": lambda facts, rule: facts.recipients > rule.most,
}
