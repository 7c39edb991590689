"""Regular expressions from a kernel tree's MAINTAINERS, which anybody may have written: refused if they may not end."""

import re
from dataclasses import dataclass

_MAX_PATTERN = 500  # characters
SUBJECT = 300
"""Longest text, in characters, that these patterns may be searched in."""
_MAX_STEPS = 2_000_000  # a bound on the ways in which one beginning can be tried
_ALLOWED_GROUP = re.compile(r"\?(?:i?:|i\))")


@dataclass(slots=True)
class _Cost:
    """What backtracking may cost: ``choices`` ways for each beginning, ``loops`` unbounded repetitions."""

    choices: int = 1
    loops: int = 0

    @property
    def steps(self) -> int:
        return int(self.choices * SUBJECT**self.loops)


def safe_regex(pattern: str) -> re.Pattern[str] | None:
    """``pattern`` as perl reads it with /x (unescaped blanks mean nothing), None if it might take for ever.

    Refused: repeated groups, back references, look-around, comments, too many repetitions or alternatives (the
    bound is on what backtracking could try), and what Python's ``re`` does not understand.
    """
    if len(pattern) > _MAX_PATTERN or not _is_cheap(pattern):
        return None
    try:
        return re.compile(pattern, re.VERBOSE)
    except (re.error, OverflowError, RecursionError):
        return None


def split_alternatives(pattern: str) -> tuple[str, str]:
    """A pattern cut at its first ``|`` outside of groups and classes; the second part is empty if there is none."""
    depth = 0
    for index, char in _tokens(pattern):
        depth += {"(": 1, ")": -1}.get(char, 0)
        if char == "|" and depth == 0:
            return pattern[:index], pattern[index + 1 :]
    return pattern, ""


def _tokens(pattern: str) -> list[tuple[int, str]]:
    """Positions and characters that mean something; escapes are ``\\``, classes ``[``, blanks are left out."""
    found, index = [], 0
    while index < len(pattern):
        char = pattern[index]
        if not char.isspace():
            found.append((index, char))
        if char == "\\":
            index += 1
        elif char == "[":
            index = _class_end(pattern, index)
        index += 1
    return found


def _class_end(pattern: str, start: int) -> int:
    index = start + 1
    if pattern[index : index + 1] == "^":
        index += 1
    if pattern[index : index + 1] == "]":
        index += 1
    while index < len(pattern) and pattern[index] != "]":
        index += 2 if pattern[index] == "\\" else 1
    return index


def _is_cheap(pattern: str) -> bool:
    cost, groups = _Cost(), [1]
    # What can begin in one place only is searched once, not from everywhere.
    limit = _MAX_STEPS * (SUBJECT if pattern.startswith("^") and not split_alternatives(pattern)[1] else 1)
    before = ""
    for index, char in _tokens(pattern):
        if char == "#" or (char == "\\" and pattern[index + 1 : index + 2].isdigit()):
            return False
        if char == "(":
            if pattern[index + 1 : index + 2] == "?" and not _ALLOWED_GROUP.match(pattern, index + 1):
                return False
            groups.append(1)
        elif char == "|":
            groups[-1] += 1
        elif char == ")" and len(groups) > 1:
            cost.choices *= groups.pop()
        elif char in "*+{":
            if before == ")":
                return False
            cost.loops += before not in "*+}?"  # "*?" and "*+" are one repetition
        elif char == "?" and before not in "(*+}":
            cost.choices *= 2
        before = char
        if cost.steps > limit:
            return False
    return True
