"""Text that somebody else wrote (titles, logs, names, compilers' words) made fit for mail.

Nothing of it can end a header, begin a line that mail programs, git or bots would obey, or change how text around it
is shown.
"""

import re
import unicodedata

LINE = 900  # octets of a line; RFC 5322 2.1.1 allows 998 without the line's end
QUOTE = "| "

STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Characters that steer a terminal: controls of both kinds, but for tabs and line ends."""
# Control, formatting (with the bidirectional overrides), surrogates, private use, unassigned; line and paragraph ends.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_BLANKS = re.compile(r"\s+")
_TOO_MANY_MARKS = 3  # combining marks on one letter; more of them paint over the lines around


def one_line(text: str, octets: int = 200) -> str:
    """One line of at most so many octets (of UTF-8) that shows what it holds; the end is cut off with an ellipsis."""
    return cut(_BLANKS.sub(" ", _seen(text[: 4 * octets])).strip(), octets)


def header(text: str, octets: int = 200) -> str:
    """One line for a header. The standard library reads what it is given and decodes the encoded words (RFC 2047) in
    it, line ends and all: none is left to read."""
    return one_line(one_line(text, octets).replace("=?", "= ?"), octets)


def quoted(text: str, lines: int = 200) -> str:
    """A block, each line after ``| ``: neither a trailer nor a command, a patch, a signature or an mbox ``From``."""
    kept = text.splitlines()
    shown = [QUOTE + cut(_seen(line[: 4 * LINE].expandtabs()).rstrip(), LINE - len(QUOTE)) for line in kept[:lines]]
    more = len(kept) - lines
    return "\n".join([*(line.rstrip() for line in shown), *([f"{QUOTE}... {more} more lines"] if more > 0 else [])])


def cut(text: str, octets: int) -> str:
    """At most so many octets, whole letters only."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= octets:
        return text
    return raw[: octets - 3].decode("utf-8", "ignore").rstrip() + "…"


def _seen(text: str) -> str:
    out, marks = [], 0
    for letter in text:
        kind = unicodedata.category(letter)
        marks = marks + 1 if kind in ("Mn", "Me") else 0
        if marks > _TOO_MANY_MARKS:
            continue
        out.append(" " if letter in "\t\n\r" else "\N{REPLACEMENT CHARACTER}" if kind in _UNSEEN else letter)
    return "".join(out)
