"""Commands of the documentation: its blocks of shell, and lines that call us."""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from firstbad.store import Event

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"(?:<!-- (?P<mark>[^\n]*?) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)```", re.S)
_CALL = re.compile(r"^(?:[A-Z_]+=\S+ )*(?:git )?firstbad( .*)?$")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page. ``mark``: the comment before it says how it is run, as ``kernel: NAME``."""

    page: str
    mark: str
    text: str


def pages() -> list[Path]:
    """All that is read by people and was not made by a program."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str = "sh") -> list[Block]:
    """The blocks of a page that are in a language."""
    found = _BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [Block(page.name, one["mark"] or "", one["text"]) for one in found if one["language"] == language]


def calls(page: Path) -> Iterator[list[str]]:
    """The words of each line of a page that calls us, in fences or indented, without an ellipsis."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        for part in re.split(r"\s*(?:&&|\|\||;| \| )\s*", line.strip()):
            if _CALL.match(part) and (line.startswith("    ") or _fenced(text, line)):
                words = shlex.split(re.split(r"\s{5,}", part)[0], comments=True)  # after that it says what it does
                ends = [i for i, word in enumerate(words) if re.match(r"2?[<>&]", word)]
                yield [word for word in words[: min(ends, default=len(words))] if word != "..."]


def _fenced(text: str, line: str) -> bool:
    return any(line in fence.splitlines() for fence in re.findall(r"```\w*\n(.*?)```", text, re.S))


def programs(directory: Path) -> Path:
    """A directory to put on PATH: in it, `firstbad` is this one."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "firstbad").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m firstbad "$@"\n')
    (directory / "firstbad").chmod(0o755)
    return directory


def check_events(events: Iterable[Event]) -> None:
    """Each event is of a kind of session/events.toml, with all fields that are always there, and no others."""
    known = {}
    for kinds, facts in tomllib.loads((ROOT / "src/firstbad/session/events.toml").read_text()).items():
        known |= dict.fromkeys(kinds.split(", "), facts)
    for event in events:
        fields = {name: words for name, words in known[event.kind].items() if name != "about"}
        assert set(event.data) <= set(fields), f"{event.kind}: {set(event.data) - set(fields)}"
        always = {name for name, words in fields.items() if not words.startswith("*")}
        assert always <= set(event.data), f"{event.kind}: {always - set(event.data)}"


def shell(text: str, directory: Path, environment: dict[str, str], seconds: float = 300) -> str:
    """Run a block as a person would. Its output; fails with what it said. What it leaves in the background ends."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        words = ["sh", "-eu", "-c", text]
        process = subprocess.Popen(
            words, cwd=directory, env=environment, stdout=out, stderr=err, text=True, start_new_session=True
        )
        try:
            status = process.wait(seconds)
        finally:
            until = time.monotonic() + (20 if process.returncode == 0 else 0)  # what it told to end may do so
            with contextlib.suppress(ProcessLookupError):
                while time.monotonic() < until:
                    os.killpg(process.pid, 0)
                    time.sleep(0.1)
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read())
    assert status == 0, f"{text}\n{said[0][-3000:]}\n{said[1][-3000:]}"
    return said[0]
