"""Edits of source files, anchored by text: each replaces the one place where its old text stands."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from firstbad.errors import UserError
from firstbad.packaged import read_toml


@dataclass(frozen=True)
class Hunk:
    """One replacement in one file; without ``old`` the file is new."""

    file: str
    old: str | None
    new: str


@dataclass(frozen=True)
class Edit:
    """One commit's change. ``compiled``: whether the demo's configurations compile what it touches."""

    ident: str
    subject: str
    why: str
    hunks: tuple[Hunk, ...]
    compiled: bool = True
    fixes: str | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The files that the edit touches, each once, in the order of its hunks."""
        return tuple(dict.fromkeys(hunk.file for hunk in self.hunks))

    def apply(self, file: str, text: str | None) -> str:
        """Return ``file``'s text after this edit (``None``: there is no such file yet).

        Raises UserError where an anchor does not stand in the text exactly once.
        """
        for hunk in self.hunks:
            if hunk.file == file:
                text = _replace(self.ident, hunk, text)
        if text is None:
            raise UserError(f"{file}: edit {self.ident!r} needs a file that is not there")
        return text


def _replace(ident: str, hunk: Hunk, text: str | None) -> str:
    if hunk.old is None:
        if text is not None:
            raise UserError(f"{hunk.file}: edit {ident!r} would make a file that is there already")
        return hunk.new
    count = 0 if text is None else text.count(hunk.old)
    if text is None or count != 1:
        raise UserError(f"{hunk.file}: the anchor of edit {ident!r} stands there {count} times, not once")
    return text.replace(hunk.old, hunk.new)


def release_edit(minor: int) -> Edit:
    """Return the edit that makes the tree version 6.``minor``; the version it finds may be any."""
    return _Release(f"release-{minor}", f"Linux 6.{minor}", "", (Hunk("Makefile", None, str(minor)),))


class _Release(Edit):
    def apply(self, file: str, text: str | None) -> str:
        """Set the version in the top Makefile."""
        fields = {"PATCHLEVEL": self.hunks[0].new, "SUBLEVEL": "0", "NAME": f"Demo {self.hunks[0].new}"}
        for key, value in fields.items():
            text, count = re.subn(rf"(?m)^{key} =.*$", f"{key} = {value}", text or "", count=1)
            if not count:
                raise UserError(f"{file}: no line {key} = in the kernel's top Makefile")
        return text or ""


def load_pool() -> list[Edit]:
    """Return the harmless edits: those of compiled files, then those of files that are not compiled."""
    edits = []
    for name, compiled in (("compiled", True), ("uncompiled", False)):
        for number, entry in enumerate(_table(f"{name}.toml")["edit"]):
            hunk = Hunk(entry["file"], entry["old"], entry["new"])
            why = entry.get("why", "")
            edits.append(Edit(f"{name}-{number}", entry["subject"], why, (hunk,), compiled))
    return edits


def load_bugs() -> dict[str, Edit]:
    """Return the changes that the demo is about, by their id in ``data/bugs.toml``."""
    bugs = {}
    for entry in _table("bugs.toml")["change"]:
        hunks = tuple(Hunk(hunk["file"], hunk.get("old"), hunk["new"]) for hunk in entry["hunk"])
        why = entry["body"].strip()
        bugs[entry["id"]] = Edit(entry["id"], entry["subject"], why, hunks, True, entry.get("fixes"))
    return bugs


def _table(name: str) -> dict[str, Any]:
    return read_toml(__package__, f"data/{name}")


def apply_all(file: str, text: str | None, edits: Sequence[Edit]) -> str:
    """Return ``file`` after ``edits`` in their order; all of them touch it, and there is at least one."""
    for edit in edits[:-1]:
        text = edit.apply(file, text)
    return edits[-1].apply(file, text)


def fitting(edits: Iterable[Edit], texts: dict[str, str]) -> list[Edit]:
    """Return the edits whose anchors stand in ``texts`` (path to content): point releases differ a little."""
    return [
        edit
        for edit in edits
        if all(hunk.old is not None and texts.get(hunk.file, "").count(hunk.old) == 1 for hunk in edit.hunks)
    ]
