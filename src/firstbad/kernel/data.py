"""Access to this package's data files, whose rules are bounded by releases."""

from functools import cache
from typing import Any

from firstbad.packaged import read_toml

Version = tuple[int, int, int]


@cache
def load(name: str) -> dict[str, Any]:
    """One packaged TOML file."""
    return read_toml(__package__, name)


def version_of(tag: str) -> Version:
    """``v6.1`` as ``(6, 1, 0)``; the data files name final releases only. Raises ValueError."""
    numbers = [int(part) for part in tag.removeprefix("v").split(".")]
    if not 2 <= len(numbers) <= 3:
        raise ValueError(f"not a release: {tag}")
    return (numbers[0], numbers[1], numbers[2] if len(numbers) == 3 else 0)


def applies(rule: dict[str, Any], version: Version | None) -> bool:
    """Whether a rule's ``from``, ``until`` (both inclusive) and ``below`` hold the version.

    An unknown version is held by every rule.
    """
    if version is None:
        return True
    low, high, limit = rule.get("from"), rule.get("until"), rule.get("below")
    if (low is not None and version < version_of(low)) or (high is not None and version > version_of(high)):
        return False
    return limit is None or version < version_of(limit)
