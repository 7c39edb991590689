"""Console text to a report: where the first crash begins and ends, its title, type, guilty function and stack."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from firstbad.crash.console import Line, lines_before, lines_from, read_line
from firstbad.crash.formats import Format, TitleRule, clean_title, load, type_of
from firstbad.crash.frames import own, sections
from firstbad.crash.guilty_function import LOST, Guilty, guilty, origin, stack_of

_MAX_LINES = 2000  # of a report; a stuck kernel repeats itself for ever
_HEAD_LINES = 16  # from the oops line on: where title rules look
_HEAD_CHARS = 512  # of each of them
_BEFORE = 5  # lines shown before the oops; 50 of the oops's own task where the console tells tasks apart
_BEFORE_CONTEXT = 50
# What a crash causes in its turn: with panic_on_warn a panic, and with a lock of the console involved a lockdep report.
_AFTERTHOUGHT = re.compile(r"Kernel panic - not syncing|possible circular locking dependency detected")
_CALL, _ANSWER = "Sending NMI from CPU", "NMI backtrace for cpu "
_CALLS = 4  # lines after the call in which the first CPU answers
_COMPLETE, _SHORT = 22, 16  # lines of a complete report; KMSAN's has no registers
_TAINT = "Disabling lock debugging due to kernel taint"
_PANIC = b"Kernel panic - not syncing"
# A frame the unwinder is not sure of; left out of reports where the kernel wrote the line.
_GUESS = re.compile(r"\s{0,16}(?:\[<[0-9a-f]{1,18}>\] )?\? [\w.$]{1,256}\+0x")
_RUNNER = re.compile(r"Comm: syz\.(\d{1,9})\.(\d{1,9})\b")
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
    executor: str = ""
    """``proc=P, id=I`` of the test program that was running, where its name tells (``syz.P.I``); else empty."""
    suppressed: bool = False
    """The console says that its crashes tell nothing about the kernel: the test machinery ran out of memory, ..."""
    skip: int = 0
    """Byte offset after the oops line: where to look for the next crash at the earliest."""
    alt_titles: tuple[str, ...] = ()
    """Other titles under which this crash may be known, without an order."""


def parse(console: bytes, ignore: Sequence[re.Pattern[str]] = ()) -> Report | None:
    """The first crash of a console, or None; lines that one of ``ignore`` is found in begin no crash.

    Pure; any bytes are accepted; time is linear in the console's length.  Lines of other tasks and CPUs are
    left out where the kernel prints its callers (CONFIG_PRINTK_CALLER).
    """
    found = _first_oops(console, ignore)
    if found is None:
        return None
    form, oops = found
    lines = _report_lines(console, form, oops)
    texts = [oops.text, *(line.text for line in lines[1:] if not (line.stamped and _GUESS.match(line.text)))]
    titled = _title(form, texts)
    before = _context_before(console, oops)
    texts = _without_afterthoughts(form, texts)
    report = "".join(f"{text}\n" for text in (*before, *texts))
    title = clean_title(titled.title)
    runner = _RUNNER.search(report)
    return Report(
        title=title,
        alt_titles=tuple(sorted({clean_title(other) for other in titled.others} - {title})),
        type=type_of(title),
        frame="" if titled.function == LOST else titled.function,
        frames=tuple(stack_of(titled.rule, texts)),
        report=report,
        start=oops.start,
        skip=oops.end,
        end=lines[-1].end,
        corrupted=titled.torn or (form.stack and not _has_stacks(texts)),
        suppressed=load().suppress.search(console) is not None,
        panicked=_PANIC in console,
        executor=f"proc={runner[1]}, id={runner[2]}" if runner else "",
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


def _first_oops(console: bytes, ignore: Sequence[re.Pattern[str]] = ()) -> tuple[Format, Line] | None:
    formats = load()
    for line in _lines_with(console, formats.words):
        form = formats.begins(line.text)
        if form is not None and not any(find.search(line.text) for find in ignore):
            return form, line
    return None


def _lines_with(console: bytes, words: Sequence[bytes]) -> Iterator[Line]:
    """The lines that hold one of ``words``, in order.

    A search for fixed bytes passes over a quiet console many times faster than any alternation of patterns does.
    """
    ahead = {word: console.find(word) for word in words}
    while ahead := {word: at for word, at in ahead.items() if at >= 0}:
        line = read_line(console, console.rfind(b"\n", 0, min(ahead.values())) + 1)
        yield line
        ahead = {word: at if at >= line.end else console.find(word, line.end) for word, at in ahead.items()}


def _report_lines(console: bytes, form: Format, oops: Line) -> list[Line]:
    """The oops line and what belongs to it: its own context, else everything up to the next oops."""
    formats = load()
    lines, heading, called = [oops], True, {oops.context}
    for line in islice(lines_from(console, oops.end), _MAX_LINES):
        # A hang makes the other CPUs show their stacks; each answers in its own context.
        if oops.context and line.text.startswith(_ANSWER) and any(_CALL in each.text for each in lines[-_CALLS:]):
            called.add(line.context)
        # What the kernel writes is stamped: other lines come from programs on the same console.
        if line.context not in called or line.stamped < oops.stamped:
            continue
        if oops.context:
            lines.append(line)
            continue
        if _ENDS.search(line.text):
            break
        other = formats.begins(line.text)
        # A symbolized report repeats its first line for every inlined function.
        heading = heading and other is form
        # A message of one line may come from elsewhere in the middle of a stack.
        if other is not None and other.stack and not other.follows and not heading:
            break
        lines.append(line)
    return lines


def _without_afterthoughts(form: Format, texts: list[str]) -> list[str]:
    """The report without the panic that it caused, and without what printing it caused, once the report is complete."""
    enough = _SHORT if form.id == "kmsan" else _COMPLETE
    for i, text in enumerate(texts):
        if i >= enough and _AFTERTHOUGHT.search(text):
            while i > 1 and _TAINT in texts[i - 1]:
                i -= 1
            return texts[:i]
    return texts


def _context_before(console: bytes, oops: Line) -> list[str]:
    # An interrupt's context is shared by whatever interrupts that CPU.
    count = _BEFORE_CONTEXT if oops.context.startswith("T") else _BEFORE
    lines = lines_before(console, oops.start, 4 * count if oops.context else count)
    mine = [line for line in lines if line.context == oops.context and line.stamped >= oops.stamped]
    return [line.text for line in mine[-count:]]


@dataclass(frozen=True, slots=True)
class _Titled:
    rule: TitleRule
    title: str
    others: tuple[str, ...]
    function: str
    torn: bool


def _title(form: Format, texts: list[str]) -> _Titled:
    """Title and guilty function by the first rule whose ``when`` is found."""
    head = "\n".join(text[:_HEAD_CHARS] for text in texts[:_HEAD_LINES])
    stacked = not form.proof or _has_stacks(texts)
    for rule in form.rules:
        match = rule.when.search(head)
        if match is None:
            continue
        groups = {name: value or "" for name, value in match.groupdict().items()}
        asked = bool(rule.func)
        found = guilty(rule, groups.get("func", ""), texts) if asked and stacked else Guilty(LOST if asked else "")
        names = (found.name, *found.others)
        if "{origin}" in "".join(rule.alt):
            groups["origin"] = origin(texts)
        others = [form_.format_map({**groups, "func": name}) for form_ in (rule.title, *rule.alt) for name in names]
        return _Titled(rule, others[0], tuple(others), found.name, rule.torn or found.name == LOST)
    # The line began an oops, but none of its rules knows the text: tell the line, say that it is torn.
    began = form.start.search(texts[0])
    line = texts[0][began.start() if began else 0 :]
    return _Titled(form.rules[-1], form.torn.format(line=line), (), LOST, True)


def _has_stacks(texts: list[str]) -> bool:
    """Whether the crash's stack is there, and a frame follows each header of one."""
    found = sections(texts)
    if not own(found):
        return False
    traces = [i for i, s in enumerate(found) if s.kind in ("trace", "history")]
    return all(found[i].frames or i + 1 < len(found) for i in traces)
