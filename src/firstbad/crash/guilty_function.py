"""The guilty function of a report: where a title rule looks for it, what it leaves out, how it is named."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from firstbad.crash.demangle import demangle
from firstbad.crash.formats import TitleRule, load
from firstbad.crash.frames import Section, clean_function, instruction_pointer, mentions, own, sections

_INJECTED = re.compile(r"_*should_fail")  # an allocation failure that was asked for: the stack is of its own report

_ASKING = re.compile(r"rcu_read_lock_held")  # a check, not a place of work
LOST = "corrupted"
"""Stands for the guilty function in the title of a report that does not tell it."""


@dataclass(frozen=True, slots=True)
class Guilty:
    """A function to blame: as titles name it, and what else it is called (the raw name last)."""

    name: str
    others: tuple[str, ...] = ()


def guilty(rule: TitleRule, matched: str, texts: Sequence[str]) -> Guilty:
    """The function ``rule`` blames in the report's lines; ``matched`` is its group func, empty if none.

    ``Guilty(LOST)`` if the report does not tell.
    """
    found = sections(texts)
    for where in rule.func:
        if where == "raw":
            return Guilty(clean_function(matched)) if matched else Guilty(LOST)
        name = _first(rule, where, matched, texts, found)
        if name:
            return _same(name) if where in ("interrupted", "trace", "hung") else named(name)
    return Guilty(LOST)


def named(name: str) -> Guilty:
    """A function under the name that titles use: ``__x64_sys_ioctl`` is ``sys_ioctl``."""
    others = [name]
    for find, replacement in load().names:
        shorter = find.sub(replacement, others[-1], count=1)
        if shorter and shorter != others[-1]:
            others.append(shorter)
    return Guilty(others[-1], tuple(reversed(others[:-1])))


def _same(name: str) -> Guilty:
    """As ``named``, and functions in which a hang is one bug go by one name."""
    for find, replacement in load().same:
        if find.match(name) and name != replacement:
            return Guilty(replacement, (name,))
    return named(name)


def origin(texts: Sequence[str]) -> str:
    """The function that made the memory which was used, empty if the report does not tell."""
    found, generic = sections(texts), load().generic
    names = _of_kind(found, "origin")
    return next((name for name in names if not generic.match(name) and not name.endswith("alloc_skb")), "")


def _first(rule: TitleRule, where: str, matched: str, texts: Sequence[str], found: Sequence[Section]) -> str:
    if where in ("interrupted", "trace"):
        # Since v6.0 a stall on the own CPU is told with the registers of what was interrupted, and their stack alone.
        at_once = where == "trace" or found[0].pointers
        return _walk(own(found)) if at_once else _walk(interrupted(found))
    if where == "warned":
        return _first(rule, "match", matched, texts, found) if _first(rule, "stack", "", texts, found) else ""
    names = [demangle(name) for name in _candidates(where, matched, texts, found)]
    if any(_INJECTED.match(name) for name in names):
        return ""
    if rule.bucket is not None:
        hit = next((name for name in names if rule.bucket.match(name)), "")
        if hit:
            return hit
    return next((name for name in names if name and not rule.generic.match(name)), "")


def _candidates(where: str, matched: str, texts: Sequence[str], found: Sequence[Section]) -> Iterable[str]:
    """The functions that stand at a place of the report, in the order in which they are asked."""
    match where:
        case "match":
            return [clean_function(matched)]
        case "rip":
            return [instruction_pointer(texts)]
        case "stack" | "hung":
            return own(found)
        case "stacks":
            return chain.from_iterable(section.frames for section in found)
        case "head":
            return found[0].frames
        case "reported":
            return _reported(found)
        case "mentions":
            return mentions(texts)
        case kind:
            return _of_kind(found, kind)


def _reported(found: Sequence[Section]) -> list[str]:
    """The crash's stack, if the sanitizer's report stands in it: else it is somebody else's."""
    frames = own(found)
    return frames if any("san_" in name for name in frames) else []


def _of_kind(found: Sequence[Section], kind: str) -> list[str]:
    """The frames of the first stack of that kind; for a backtrace those of the trace that follows its heading."""
    for i, section in enumerate(found):
        if section.kind == kind:
            return next((s.frames for s in found[i:] if s.frames), [])
    return []


def interrupted(found: Sequence[Section]) -> list[str]:
    """The frames of the code that an interrupt found at work: in the first stack that shows the interrupt's entry."""
    entry = load().interrupt
    for section in found:
        names = section.frames
        first = next((i for i, name in enumerate(names) if entry.match(name)), None)
        if first is None:
            continue
        while first < len(names) and entry.match(names[first]):
            first += 1
        if first < len(names):
            return names[first:]
    return []


def _walk(names: Sequence[str]) -> str:
    """The function that a dispatcher called: a loop is found at another place each time, its entry is always there."""
    data, called = load(), ""
    for name in names:
        if data.itself.match(name):
            return name
        if data.anchor.match(name):
            return called or name
        called = name if not _ASKING.match(name) else called
    return ""


def stack_of(rule: TitleRule, texts: Sequence[str]) -> Iterator[str]:
    """The crash's stack, beginning with the instruction pointer where the stack itself leaves it out."""
    frames = own(sections(texts))
    pointer = instruction_pointer(texts) if "rip" in rule.func else ""
    return iter(frames if not pointer or pointer in frames else [pointer, *frames])
