"""Functions in a crash report: their names, the stacks and what each of them shows, the instruction pointer."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from firstbad.crash.formats import load

# What compilers append to the name of a copy they made of a function.
_SUFFIX = re.compile(r"\.(?:constprop|isra|part|cold|llvm|cfi_jt|cfi|lto_priv|clone|plt|[0-9])[.\w]*\Z")

_NAME = r"[A-Za-z_$][\w$.]{0,255}"
_AT = r"\+0x[0-9a-f]{1,16}/0x[0-9a-f]{1,16}"
# "[<ffffffff81000000>] ? func+0x1/0x2 [module] file.c:7"; the address only before v4.10, two of them and without < on
# powerpc; "?" for a return address that merely lies on the stack.
_FRAME = re.compile(
    r"\s{0,16}(?:(?:\[<?[0-9a-fx]{1,18}>?\]|\(ptrval\)) {0,4}){0,2}(?:\{[^}]{0,32}\})?(?P<guess>\? )?"
    rf"(?P<func>{_NAME}){_AT}"
)
# 32-bit ARM: "[<80b12478>] (dump_stack) from [<801349a8>] (panic+0x104/0x2cc)", since v5.18 "dump_stack from panic+..."
_FROM = re.compile(
    rf"\s{{0,4}}(?:\[<[0-9a-f]{{1,16}}>\] )?\(?(?P<callee>{_NAME})(?:{_AT})?\)? from (?:\[<[0-9a-f]{{1,16}}>\] )?"
    rf"\(?(?P<func>{_NAME}){_AT}"
)
_BRACKET = re.compile(r"\s{0,16}(?:(?:<|</)?(?:TASK|IRQ|NMI|EOI|SOFTIRQ|#DF)>\s{0,4})+")
_RIP = re.compile(
    r"(?:RIP: (?:[0-9a-f]{4}:)?|R?IP: |EIP: (?:[0-9a-f]{4}:)?|pc : |epc : |PC is at |NIP )\s{0,4}"
    rf"(?:\[<?[0-9a-f]{{1,16}}>?\] {{0,4}}){{0,2}}(?P<func>{_NAME})\+0x"
)
_USER_RIP = re.compile(r"RIP: 0033:|RIP: 002b:")
# Any mention of a place in code, as lock reports have them: "at: [<ffffffff81000000>] func+0x1/0x2".
_MENTION = re.compile(rf"(?:^|[\s(\]])(?P<func>{_NAME}){_AT}")


@dataclass(slots=True)
class Section:
    """One stack of a report: ``kind`` is one of formats.toml's ``[[section]]``, ``head`` before the first of them."""

    kind: str
    frames: list[str] = field(default_factory=list)
    """Functions, innermost first, with those of the instruction pointer where it stands among the frames."""
    pointers: set[int] = field(default_factory=set)
    """Which of ``frames`` come from an instruction pointer's line."""


def clean_function(name: str) -> str:
    """``foo.constprop.0.isra.1`` and ``foo.cold`` are ``foo``: what the source calls it."""
    while True:
        cut = _SUFFIX.sub("", name)
        if cut == name or not cut:
            return name
        name = cut


def instruction_pointer(texts: Iterable[str]) -> str:
    """The function of the first kernel-mode instruction pointer of a report, or empty."""
    for text in texts:
        found = _RIP.match(text.lstrip())
        if found:
            return clean_function(found["func"])
    return ""


def sections(texts: Iterable[str]) -> list[Section]:
    """Every stack of the report in its order; those without a frame too.

    Guessed (``?``) frames are left out. The instruction pointer counts as a frame where it is printed among them: that
    is how the stack of the interrupted code follows that of the handler. Frames of inlined functions, which only a
    symbolized report has, are left out, so that symbolized and raw reports of one crash compare equal.
    """
    found = [Section("head")]
    headers = load().sections
    for text in texts:
        kind = "user" if _USER_RIP.match(text) else next((k for k, find in headers if find.search(text)), "")
        if kind:
            found.append(Section(kind))
            continue
        section = found[-1]
        names, pointer = _names(text)
        if names and not section.frames and names[0]:
            section.frames.append(clean_function(names[0]))
        if names:
            if pointer:
                section.pointers.add(len(section.frames))
            section.frames.append(clean_function(names[1]))
    return found


def stack(texts: Iterable[str]) -> list[str]:
    """The functions of the crash's own stack, innermost first."""
    return own(sections(texts))


def own(found: Iterable[Section]) -> list[str]:
    """The crash's own stack: the first trace that has a frame; without any header the frames that stand alone."""
    found = list(found)
    first = next((s for s in found if s.kind in ("trace", "other") and s.frames), None)
    first = first or next((s for s in found if s.kind == "head" and len(s.frames) > len(s.pointers)), None)
    return first.frames if first else []


def mentions(texts: Iterable[str]) -> Iterator[str]:
    """All functions in the order of the text, wherever they stand, guessed frames left out."""
    for text in texts:
        for found in _MENTION.finditer(text[:400]):
            if not text[: found.start("func")].endswith("? "):
                yield clean_function(found["func"])


def _names(text: str) -> tuple[tuple[str, str] | None, bool]:
    """(callee where the line has one, function) of a frame, and whether the line is an instruction pointer's."""
    bare = _BRACKET.sub("", text, count=1) if "<" in text[:24] and ">" in text else text
    found = _FRAME.match(bare)
    if found:
        return (None if found["guess"] else ("", found["func"])), False
    found = _FROM.match(bare)
    if found:
        return (found["callee"], found["func"]), False
    pointer = _RIP.match(text.lstrip())
    return (("", pointer["func"]), True) if pointer else (None, False)
