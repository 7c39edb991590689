"""What of a configuration is only there to find other kinds of bugs, by ``crash_config.toml``."""

import re
from collections.abc import Callable

from firstbad.kernel import data
from firstbad.kernel.dotconfig import ON, read_config, unset

_CMDLINE = re.compile(r'^(CONFIG_CMDLINE=".*)"$', re.MULTILINE)


def drop_unneeded(text: str, needed: Callable[[str], bool]) -> tuple[str, list[str]]:
    """A configuration without the instrumentation that the crash does not need, and the names of the categories that
    were switched off. ``needed`` says of a kind of crashes whether the bug shows as one."""
    values, dropped = read_config(text), []
    for category in data.load("crash_config.toml")["category"]:
        if needed(category["kind"]):
            continue
        present = [name for name in category["unset"] if values.get(name) in ON]
        if present:
            text = unset(text, present)
            dropped.append(category["name"])
        text = _with_parameter(text, category.get("cmdline", ""))
    return text, dropped


def needed_options(needed: Callable[[str], bool]) -> frozenset[str]:
    """Options without which crashes of those kinds do not show as what they are."""
    categories = data.load("crash_config.toml")["category"]
    return frozenset(name for category in categories if needed(category["kind"]) for name in category["unset"])


def _with_parameter(text: str, parameter: str) -> str:
    found = _CMDLINE.search(text)
    if not parameter or found is None or parameter in found[1]:
        return text
    return text[: found.end(1)] + f" {parameter}" + text[found.end(1) :]
