"""The configuration of one revision: the job's, what our machines need, then the tree's own olddefconfig."""

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from firstbad.kernel import data, dotconfig
from firstbad.kernel.architecture import DEFAULT
from firstbad.kernel.harmless import without_files

Make = Callable[..., None]


def machine_options(version: data.Version | None, arch: str = DEFAULT) -> str:
    """Lines that are appended to every configuration so that our machines of ``arch`` can boot it."""
    rules = data.load("machine_config.toml")["option"]
    needed = [rule for rule in rules if data.applies(rule, version) and arch in rule.get("arch", [arch])]
    return "".join(f"CONFIG_{rule['name']}={rule['value']}\n" for rule in needed)


def identity(text: str, base: str) -> str:
    """Digest (sha256 hex) of a configuration as it is given: a text over a make target, see :func:`write_config`."""
    return hashlib.sha256(f"{base}\0{text}".encode()).hexdigest()


def adapt(text: str, version: data.Version | None, rules: Sequence[dict[str, Any]] | None = None) -> str:
    """A configuration as a release can take it, by ``config_rules.toml``; of an unknown release, by its rules that hold
    everywhere. It names no files of this host."""
    for rule in data.load("config_rules.toml")["rule"] if rules is None else rules:
        bounded = any(bound in rule for bound in ("from", "until", "below"))
        name = rule.get("unset") or rule["replace"]
        if (version is None and bounded) or not data.applies(rule, version) or not _is_on(text, name):
            continue
        text = dotconfig.unset(text, [name, *([rule["by"]] if "by" in rule else [])])
        text += f"CONFIG_{rule['by']}=y\n" if "by" in rule else ""
    return without_files(text)


def _is_on(text: str, name: str) -> bool:
    return f"CONFIG_{name}=" in text and dotconfig.read_config(text).get(name) in dotconfig.ON


def digest(text: str, base: str, version: data.Version | None, arch: str = DEFAULT) -> str:
    """Identity (sha256 hex) of what a configuration is made from, before the tree's Kconfig has its say."""
    return hashlib.sha256("\0".join((base, text, machine_options(version, arch))).encode()).hexdigest()


# What the tree's Kconfig decides from: when none of it differs from the last revision's, nor does the result.
_INPUTS = re.compile(r"(?:^|/)(?:Kconfig[^/]*|[^/]*\.config|[^/]*defconfig)$|^scripts/|^arch/[^/]*/Makefile$")


_VERSION = re.compile(r"^(?:VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION|NAME)[ \t]*=.*$", re.MULTILINE)


def inputs(listing: str, makefile: str, made_from: str) -> str:
    """Identity (sha256 hex) of all that decides a configuration.

    ``listing`` is ``git ls-tree -r -z`` of the revision, of which the files that matter are taken; ``makefile`` is the
    top-level one, whose version lines decide nothing (they are in a comment of ``.config``); for ``made_from`` see
    :func:`digest`.
    """
    total = hashlib.sha256(made_from.encode())
    total.update(_VERSION.sub("", makefile).encode("utf-8", "surrogateescape"))
    for line in listing.split("\0"):
        if _INPUTS.search(line.partition("\t")[2]):
            total.update(line.encode("utf-8", "surrogateescape") + b"\0")
    return total.hexdigest()


def write_config(
    make: Make,
    out: Path,
    text: str,
    base: str,
    version: data.Version | None,
    decided_by: str = "",
    arch: str = DEFAULT,
) -> None:
    """Make ``out/.config`` for the revision that is checked out, unless ``decided_by`` (see :func:`inputs`) is what
    the last one was made from.

    It is made anew from the job's text each time, never from the last revision's result, so it does not depend
    on the order of builds; the file is replaced only when it differs, so that nothing is rebuilt in vain.
    ``make(*targets, KEY=value)`` runs make in the tree and raises BuildError.
    """
    note = out / ".config.inputs"
    current = out / ".config"
    known = decided_by and current.exists() and note.exists() and note.read_text() == decided_by
    # IKCONFIG puts the whole file into the kernel, the comment with the version too: then it is made anew.
    if known and "CONFIG_IKCONFIG=" not in current.read_text():
        return
    note.unlink(missing_ok=True)
    fresh = out / ".config.firstbad"
    fresh.unlink(missing_ok=True)
    if base != "none":
        make(base, KCONFIG_CONFIG=str(fresh))
    with fresh.open("a") as file:  # later lines win over earlier ones in Kconfig
        file.write("\n" + text.rstrip("\n") + "\n" + machine_options(version, arch))
    make("olddefconfig", KCONFIG_CONFIG=str(fresh))
    if current.exists() and current.read_bytes() == fresh.read_bytes():
        fresh.unlink()
    else:
        fresh.replace(current)
    note.write_text(decided_by)
