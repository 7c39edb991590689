"""Functions in a crash report: their names, the stack, the instruction pointer."""

import re
from collections.abc import Iterable, Iterator

# What compilers append to the name of a copy they made of a function.
_SUFFIX = re.compile(r"\.(?:constprop|isra|part|cold|llvm|cfi_jt|cfi|lto_priv|clone|plt|[0-9])[.\w]*\Z")

_NAME = r"[A-Za-z_$][\w$.]{0,255}"
# "[<ffffffff81000000>] ? func+0x1/0x2 [module] file.c:7"; the address only before v4.10, "?" for a
# return address that merely lies on the stack.
_FRAME = re.compile(
    r"\s{0,16}(?:\[<[0-9a-fx]{1,18}>\] {0,2})?(?:\{[^}]{0,32}\})?(?P<guess>\? )?"
    rf"(?P<func>{_NAME})\+0x[0-9a-f]{{1,16}}/0x[0-9a-f]{{1,16}}"
)
_BRACKET = re.compile(r"\s{0,16}(?:(?:<|</)?(?:TASK|IRQ|NMI|EOI|SOFTIRQ|#DF)>\s{0,4})+")
_RIP = re.compile(
    r"(?:RIP: (?:[0-9a-f]{4}:)?|R?IP: |EIP: (?:[0-9a-f]{4}:)?|pc : |epc : |PC is at |NIP )\s{0,4}"
    rf"(?:\[<[0-9a-f]{{1,16}}>\] {{0,4}}){{0,2}}(?P<func>{_NAME})\+0x"
)
_USER_RIP = re.compile(r"RIP: 0033:|RIP: 002b:")
# Where another stack begins: history of the object, other tasks, other CPUs.
_OTHER_STACK = re.compile(
    r"\s{0,4}(?:[Aa]llocated by task|[Ff]reed by task|Last (?:potentially )?related|Second to last potentially"
    r"|Uninit was|Local variable|Showing all locks held|NMI backtrace for|Sending NMI|The buggy address"
    r"|Memory state around|-> #\d|the existing dependency chain|read to 0x|---\[ end trace)"
)


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


def stack(texts: Iterable[str]) -> list[str]:
    """The functions of the report's first stack, innermost first; guessed (``?``) frames are left out.

    The instruction pointer counts as the innermost frame where it is printed among the frames (that is how
    the stack of the interrupted code follows that of the handler).  Frames of inlined functions, which only
    a symbolized report has, are left out, so that symbolized and raw reports of one crash compare equal.
    """
    return next(stacks(texts), [])


def stacks(texts: Iterable[str]) -> Iterator[list[str]]:
    """Every stack of the report: the crash's own first, then those of other tasks, CPUs and times."""
    current: list[str] = []
    for text in texts:
        if _OTHER_STACK.match(text) or _USER_RIP.match(text):
            if current:
                yield current
            current = []
            continue
        name = _frame(text)
        if name:
            current.append(name)
    if current:
        yield current


def _frame(text: str) -> str:
    bare = _BRACKET.sub("", text, count=1) if "<" in text[:24] and ">" in text else text
    found = _FRAME.match(bare)
    if found:
        return "" if found["guess"] else clean_function(found["func"])
    pointer = _RIP.match(text.lstrip())
    return clean_function(pointer["func"]) if pointer else ""
