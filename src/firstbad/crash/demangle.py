"""Mangled names of functions in reports as people write them: Rust (v0 and legacy), and plain C++ names."""

import re

from firstbad.crash.rust_v0 import NotMangledError, demangle_v0

_LIMIT = 1024
"""Characters; the kernel's own limit for a name is 512."""

# A word that may be mangled; what does not turn out to be stays as it is.
_WORD = re.compile(r"(?<![\w$.])_[RZ][\w$.]+", re.ASCII)
# What is appended to a mangled name: ".llvm.1234" by the linker (of no meaning to people), ".cold" and the like.
_SUFFIX = re.compile(r"\A([^.]*)((?:\.[\w.]*)?)\Z", re.ASCII)
_LLVM = re.compile(r"\.llvm\.[0-9A-F]+", re.ASCII)
_HASH = re.compile(r"h[0-9a-f]{16}", re.ASCII)
# Legacy Rust spells what C++ identifiers can't hold.
_ESCAPES = {
    "SP": "@", "BP": "*", "RF": "&", "LT": "<", "GT": ">", "LP": "(", "RP": ")", "C": ",",
}  # fmt: skip
_ESCAPE = re.compile(r"\$(SP|BP|RF|LT|GT|LP|RP|C|u[0-9a-f]{1,5})\$|\.\.", re.ASCII)
# Types of arguments: their order does not matter here, their presence tells a function from a C name.
_ARGUMENTS = re.compile(r"[A-Za-z0-9_]+", re.ASCII)


def demangle(name: str) -> str:
    """``name`` as its author wrote it, without hashes and (C++) without arguments; unchanged if it is not mangled.

    ``_RNvXCs1_3nulNtB2_3ModNtCs2_6kernel4Init4init`` is ``<nul::Mod as kernel::Init>::init``.  C++ templates and
    operators stay as they are.  Takes bounded time, raises nothing.
    """
    if not name.startswith(("_R", "_Z")) or len(name) > _LIMIT:
        return name
    try:
        return _rust(name) if name.startswith("_R") else _itanium(name)
    except NotMangledError:
        return name


def demangle_text(text: str) -> str:
    """``text`` with every mangled name in it demangled."""
    if "_R" not in text and "_Z" not in text:
        return text
    return _WORD.sub(lambda found: demangle(found[0]), text)


def _rust(name: str) -> str:
    found = _SUFFIX.match(name)
    if found is None:
        raise NotMangledError(name)
    return demangle_v0(found[1][2:]) + _LLVM.sub("", found[2])


def _itanium(name: str) -> str:
    """``_ZN3foo3barE…`` and ``_Z3foo…``: C++'s scheme, which Rust used before it had its own."""
    nested = name.startswith("_ZN")
    at = 3 if nested else 2
    if nested and name[at : at + 1] == "K":  # a const member
        at += 1
    parts: list[str] = []
    while name[at : at + 1].isdecimal() and (nested or not parts):
        part, at = _identifier(name, at)
        parts.append(part)
    if (nested and name[at : at + 1] != "E") or not parts:
        raise NotMangledError(name)
    rest = name[at + nested :]
    if nested and len(parts) > 1 and _HASH.fullmatch(parts[-1]):
        return "::".join(map(_unescaped, parts[:-1])) + _LLVM.sub("", rest)
    arguments, dot, suffix = rest.partition(".")
    if not _ARGUMENTS.fullmatch(arguments) or arguments.startswith("I"):  # I: the arguments of a template
        raise NotMangledError(name)
    return "::".join(parts) + _LLVM.sub("", dot + suffix)


def _identifier(name: str, at: int) -> tuple[str, int]:
    found = re.compile(r"[1-9][0-9]{0,3}", re.ASCII).match(name, at)
    if found is None or found.end() + int(found[0]) > len(name):
        raise NotMangledError(name)
    end = found.end() + int(found[0])
    return name[found.end() : end], end


def _unescaped(part: str) -> str:
    if part.startswith("_$"):
        part = part[1:]
    return _ESCAPE.sub(_escaped, part)


def _escaped(found: re.Match[str]) -> str:
    code = found[1]
    if code is None:
        return "::"
    if code in _ESCAPES:
        return _ESCAPES[code]
    value = int(code[1:], 16)
    return chr(value) if 0x20 <= value < 0xD800 or 0xE000 <= value < 0x110000 else found[0]
