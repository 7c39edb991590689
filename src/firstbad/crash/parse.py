"""Console text to a report: where the first crash begins and ends, its title, type, guilty function and stack."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, islice

from firstbad.crash.console import Line, lines_before, lines_from, read_line
from firstbad.crash.formats import Format, TitleRule, clean_title, load, type_of
from firstbad.crash.frames import clean_function, instruction_pointer, stack, stacks

_MAX_LINES = 2000  # of a report; a stuck kernel repeats itself for ever
_HEAD_LINES = 16  # from the oops line on: where title rules look
_HEAD_CHARS = 512  # of each of them
_BEFORE = 5  # lines shown before the oops; 50 of the oops's own context where the console tells contexts apart
_BEFORE_CONTEXT = 50
_LOST = "corrupted"  # stands for the guilty function in the title of a report that does not tell it
_PANIC = b"Kernel panic - not syncing"
# A frame the unwinder is not sure of; left out of reports where the kernel wrote the line.
_GUESS = re.compile(r"\s{0,16}(?:\[<[0-9a-f]{1,18}>\] )?\? [\w.$]{1,256}\+0x")
_ENDS = re.compile(r"vmalloc: allocation failure|FAULT_INJECTION: forcing a failure|FAULT_FLAG_ALLOW_RETRY missing")


@dataclass(frozen=True)
class Report:
    """One crash, as a console tells it."""

    title: str
    """Named as the kernel community names it: ``KASAN: slab-use-after-free Read in foo``, ``WARNING in foo``."""
    type: str
    """The kind of crash (a ``[[type]]`` of formats.toml), ``UNKNOWN`` if none."""
    frame: str
    """The guilty function as the source calls it; empty if the report does not tell."""
    frames: tuple[str, ...]
    """The functions of the crash's stack, innermost first; generic ones (``dump_stack``) are included."""
    report: str
    """The report's text, printk prefixes removed."""
    start: int
    """Byte offset of the oops line in the console."""
    end: int
    """Byte offset after the report's last line."""
    corrupted: bool
    """The report is torn: no guilty function or no stack where its kind has one."""
    panicked: bool
    """The kernel panicked, at any place of the console."""


def parse(console: bytes) -> Report | None:
    """The first crash of a console, or None.

    Pure; any bytes are accepted; time is linear in the console's length.  Lines of other tasks and CPUs are
    left out where the kernel prints its callers (CONFIG_PRINTK_CALLER).
    """
    found = _first_oops(console)
    if found is None:
        return None
    form, oops = found
    lines = _report_lines(console, form, oops)
    texts = [line.text for line in lines if not (line.stamped and _GUESS.match(line.text))]
    rule, title, func = _title(form, texts)
    frames = _frames(texts, rule)
    lost = func == _LOST
    before = _context_before(console, oops)
    return Report(
        title=clean_title(title),
        type=type_of(title),
        frame="" if lost else func,
        frames=tuple(frames),
        report="".join(f"{text}\n" for text in (*before, *texts)),
        start=oops.start,
        end=lines[-1].end,
        corrupted=lost or (form.stack and not frames),
        panicked=_PANIC in console,
    )


def first_sign(chunk: bytes) -> bool:
    """Does an oops begin in ``chunk``?  Cheap: one compiled alternation.

    The last line may be unfinished; it counts only if nothing that follows could make it harmless.  On a growing
    console hand over the bytes from the beginning of the line that was unfinished last time.
    """
    cut = chunk.rfind(b"\n") + 1
    if _first_oops(chunk[:cut]) is not None:
        return True
    # The kernel may die in the middle of a line: take what can't turn out harmless.
    form = load().begins(read_line(chunk, cut).text) if cut < len(chunk) else None
    return form is not None and form.ignore is None


def _first_oops(console: bytes) -> tuple[Format, Line] | None:
    formats = load()
    position = 0
    while hit := formats.any_start.search(console, position):
        line = read_line(console, console.rfind(b"\n", 0, hit.start()) + 1)
        form = formats.begins(line.text)
        if form is not None:
            return form, line
        position = max(line.end, hit.end())
    return None


def _report_lines(console: bytes, form: Format, oops: Line) -> list[Line]:
    """The oops line and what belongs to it: its own context, else everything up to the next oops."""
    formats = load()
    lines, heading = [oops], True
    for line in islice(lines_from(console, oops.end), _MAX_LINES):
        # What the kernel writes is stamped: other lines come from programs on the same console.
        if line.context != oops.context or line.stamped < oops.stamped:
            continue
        if oops.context:
            lines.append(line)
            continue
        if _ENDS.search(line.text):
            break
        other = formats.begins(line.text) if _alarming(line.text) else None
        # A symbolized report repeats its first line for every inlined function.
        heading = heading and other is form
        if other is not None and not other.follows and not heading:
            break
        lines.append(line)
    return lines


def _alarming(text: str) -> bool:
    return load().any_start.search(text.encode("latin-1")) is not None


def _context_before(console: bytes, oops: Line) -> list[str]:
    count = _BEFORE_CONTEXT if oops.context else _BEFORE
    lines = lines_before(console, oops.start, 4 * count if oops.context else count)
    mine = [line for line in lines if line.context == oops.context and line.stamped >= oops.stamped]
    return [line.text for line in mine[-count:]]


def _title(form: Format, texts: list[str]) -> tuple[TitleRule, str, str]:
    """The rule that applies, the title and the guilty function (``corrupted`` if unknown, empty if none is asked)."""
    head = "\n".join(text[:_HEAD_CHARS] for text in texts[:_HEAD_LINES])
    for rule in form.rules:
        match = rule.when.search(head)
        if match is None:
            continue
        groups = {name: value or "" for name, value in match.groupdict().items()}
        func = _guilty(rule, groups.get("func", ""), texts) if rule.func else ""
        return rule, rule.title.format_map({**groups, "func": func}), func
    # The line began an oops, but none of its rules knows the text: keep the kind, say that it is torn.
    rule = form.rules[-1]
    func = _guilty(rule, "", texts) if rule.func else _LOST
    return rule, rule.title.format_map(_Lost(func=func)), func


class _Lost(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return _LOST


def _guilty(rule: TitleRule, matched: str, texts: list[str]) -> str:
    for where in rule.func:
        names: Iterable[str]
        if where == "raw":
            return clean_function(matched)
        if where == "match":
            names = [clean_function(matched)]
        elif where == "rip":
            names = [instruction_pointer(texts)]
        elif where == "stacks":
            names = chain.from_iterable(stacks(texts))
        else:
            names = stack(texts)
        for name in names:
            if name and not rule.generic.match(name):
                return name
    return _LOST


def _frames(texts: list[str], rule: TitleRule) -> list[str]:
    """The stack, beginning with the instruction pointer where the stack itself leaves it out."""
    frames = stack(texts)
    pointer = instruction_pointer(texts) if "rip" in rule.func else ""
    return frames if not pointer or pointer in frames else [pointer, *frames]
