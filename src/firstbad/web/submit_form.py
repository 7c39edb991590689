"""A job from what a form's fields say, as the API takes it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from firstbad.errors import UserError
from firstbad.job_text import parse_toml
from firstbad.references import fields

Kind = str
_PLAIN = ("name", "title", "commit")
_LISTS = ("good", "path")
_NUMBERS = {"target": ("", "target"), "run_seconds": ("machine", "run_seconds"), "memory_mb": ("machine", "memory_mb"),
            "cpus": ("machine", "cpus")}  # fmt: skip
_WORDS = {"arch": ("build", "arch"), "config_base": ("build", "config_base"), "toolchain": ("build", "toolchain"),
          "bug_class": ("bug", "class")}  # fmt: skip


def from_fields(said: Mapping[str, str]) -> dict[str, Any]:
    """A kernel's job, or with ``command`` any project's, from single fields. Raises UserError that names one."""
    data: dict[str, Any] = {"kind": said.get("kind", "cause"), "repo": said.get("repo", "")}
    data |= {name: said[name].strip() for name in _PLAIN if said.get(name, "").strip()}
    data |= {name: said[name].split() for name in _LISTS if said.get(name, "").strip()}
    if data["kind"] == "fix" and said.get("head", "").strip():
        data["head"] = said["head"].strip()
    for name in ("config", "repro"):
        if said.get(name):
            data[name] = said[name]
    for names, read in ((_NUMBERS, number), (_WORDS, _word)):
        for name, (table, key) in names.items():
            value = read(name, said.get(name, "").strip())
            if value is not None:
                place = data.setdefault(table, {}) if table else data
                place[key] = value
    if said.get("private"):
        data["private"] = True
    if said.get("command", "").strip():
        data["project"] = _project(said)
    return data


def _project(said: Mapping[str, str]) -> dict[str, Any]:
    project: dict[str, Any] = {"command": ["sh", "-c", said["command"].strip()]}
    if said.get("build", "").strip():
        project["build"] = said["build"].strip()
    jobs = number("jobs", said.get("jobs", "").strip())
    return project | ({"jobs": int(jobs)} if jobs else {})


def number(name: str, text: str) -> float | int | None:
    """What a field says, None where that is nothing. Raises UserError that names the field."""
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        raise UserError(f"{name}: {text!r} is no number") from None
    if not math.isfinite(value):
        raise UserError(f"{name}: {text!r} is no number")
    return int(value) if value == int(value) else value


def _word(_: str, text: str) -> str | None:
    return text or None


def from_file(text: str) -> dict[str, Any]:
    """A job file. Raises UserError."""
    if not text.strip():
        raise UserError("the job file is empty")
    return parse_toml(text, "the job file")


def name_uploads(data: dict[str, Any], uploads: Mapping[str, str]) -> Sequence[str]:
    """Put uploads, given by the names of their files, in the place of those names; those that the job does not name."""
    used = set[str]()
    for _, value, put, is_directory in fields(data):
        name = value.rsplit("/", 1)[-1]
        if not is_directory and name in uploads:
            put(uploads[name])
            used.add(name)
    return [name for name in uploads if name not in used]
