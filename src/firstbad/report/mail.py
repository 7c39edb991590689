"""A story as a mail that kernel people expect: plain text, trailers last, threaded where the crash was reported.

What others wrote is hostile: every value that enters the text is one cleaned line or a quoted block (``hostile``),
every address and Message-ID is checked (``addresses``), and headers are written by the standard library alone.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from jinja2 import Environment

from firstbad import __version__
from firstbad.report.addresses import OptOut, fit, message_id, person, shown
from firstbad.report.hostile import LINE, cut, header, one_line, quoted
from firstbad.report.story import Story
from firstbad.report.words import percent

TITLE = 500  # octets of a title within a line
SUBJECT = 200
# Where the kernel's regression tracker reads along (Documentation/admin-guide/reporting-regressions.rst).
REGRESSIONS = "regressions@lists.linux.dev"
_REFERENCES = 20
# Headers are folded at blanks only: a longer Message-ID within a short line would be encoded.
_POLICY = SMTP.clone(max_line_length=300)


class _Block(str):
    """Text that is quoted already: it may have several lines."""

    __slots__ = ()


@dataclass(frozen=True)
class Original:
    """The mail that reported the crash, as the job or the command line says; all may be empty."""

    message_id: str = ""
    references: tuple[str, ...] = ()
    subject: str = ""
    link: str = ""
    reported_by: str = ""


@dataclass(frozen=True)
class Earlier:
    """Our own mail that this one corrects."""

    message_id: str
    references: tuple[str, ...]
    subject: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    culprit: str
    title: str
    tracked: bool
    """Whether the regression tracker was told by it."""


@dataclass(frozen=True)
class Letter:
    """A mail without sender, date and Message-ID."""

    subject: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    in_reply_to: str
    references: tuple[str, ...]
    text: str
    notes: tuple[str, ...] = field(default=())
    """Who was left out, and why."""

    @property
    def tracked(self) -> bool:
        """Whether it tells the regression tracker."""
        return "\n#regzbot " in self.text

    def message(
        self, sender: Address | None, date: datetime | None, own_id: str = "", eight_bit: bool = True
    ) -> EmailMessage:
        """The mail as it is sent; without sender it is a draft."""
        mail = EmailMessage(policy=_POLICY)
        if sender is not None:
            mail["From"] = sender
        for name, addresses in (("To", self.to), ("Cc", self.cc)):
            if addresses:
                mail[name] = [Address(addr_spec=address) for address in addresses]
        mail["Subject"] = header(self.subject, SUBJECT)
        if date is not None:
            mail["Date"] = format_datetime(date)
        for name, value in (("Message-ID", own_id), ("In-Reply-To", self.in_reply_to)):
            if value:
                mail[name] = message_id(value, name)
        if self.references:
            mail["References"] = " ".join(message_id(one, "References") for one in self.references)
        mail["User-Agent"] = f"firstbad/{__version__}"
        if self.text.isascii():
            mail.set_content(self.text, charset="us-ascii", cte="7bit")
        else:
            mail.set_content(self.text, charset="utf-8", cte="8bit" if eight_bit else "quoted-printable")
        return mail


def bug_key(culprit: str, crash_title: str) -> str:
    """What makes two answers one bug: the same culprit and the same crash title."""
    return hashlib.sha256(f"{culprit}\0{crash_title}".encode("utf-8", "replace")).hexdigest()[:32]


def compose(
    story: Story,
    original: Original,
    sender: Address | None = None,
    *,
    more_to: Sequence[str] = (),
    more_cc: Sequence[str] = (),
    optout: OptOut | None = None,
    earlier: Earlier | None = None,
    named: bool = True,
    regzbot: bool = True,
) -> Letter:
    """The mail about an answer, or the one that corrects an ``earlier`` one; ``named`` False: that only takes it back.

    Raises UserError for a Message-ID or an address of the job that is none.
    """
    to, cc, notes = _recipients(story, earlier, named, more_to, more_cc, optout or OptOut())
    above, references = _thread(original, earlier)
    commands = _commands(story, earlier, bool(original.message_id)) if named and regzbot else []
    if commands and REGRESSIONS not in (*to, *cc) and not (optout or OptOut()).holds(REGRESSIONS):
        cc = (*cc, REGRESSIONS)
    text = _text(
        story=story,
        earlier=earlier,
        named=named,
        commands=commands,
        trailers=_trailers(story, original, sender) if named else [],
    )
    return Letter(_subject(story, original, earlier), to, cc, above, references, text, tuple(notes))


def _recipients(
    story: Story, earlier: Earlier | None, named: bool, more_to: Sequence[str], more_cc: Sequence[str], optout: OptOut
) -> tuple[tuple[str, ...], tuple[str, ...], list[str]]:
    to = [*(earlier.to if earlier else ()), *(story.to if named else ()), *more_to]
    cc = [*(earlier.cc if earlier else ()), *(story.cc if named else ()), *more_cc]
    kept_to, notes = fit(to, optout)
    kept_cc, more = fit(cc, optout)
    return tuple(kept_to), tuple(one for one in kept_cc if one not in kept_to), [*notes, *more]


def _thread(original: Original, earlier: Earlier | None) -> tuple[str, tuple[str, ...]]:
    """In-Reply-To and References: our earlier mail before the one that reported the crash."""
    if earlier is not None:
        above, before = earlier.message_id, earlier.references
    elif original.message_id:
        above = message_id(original.message_id, "report.message_id")
        before = tuple(message_id(one, "report.references") for one in original.references)
    else:
        return "", ()
    # RFC 5322 3.6.4: the parent's references, then the parent; of very many the first and the last ones.
    line = tuple(dict.fromkeys((*before, above)))
    return above, line if len(line) <= _REFERENCES else (line[0], *line[1 - _REFERENCES :])


def _subject(story: Story, original: Original, earlier: Earlier | None) -> str:
    parent = earlier.subject if earlier else original.subject
    if parent:
        return one_line(parent if re.match(r"re:", parent, re.IGNORECASE) else f"Re: {parent}", SUBJECT)
    crash = one_line(story.crash_title or "a crash", 120)
    if not story.found or story.culprit is None:
        return f"{crash}: bisected to one of {len(story.candidates)} commits"
    if story.kind == "cause":
        return f"[REGRESSION] {crash}: bisected to {story.culprit.hash[:12]}"
    return f"{crash}: fixed by {story.culprit.hash[:12]}"


def _commands(story: Story, earlier: Earlier | None, reply: bool) -> list[str]:
    """What the regression tracker is told, see Documentation/process/handling-regressions.rst."""
    if not story.found or story.culprit is None:
        return []
    if story.kind == "fix":  # of use only where the crash is tracked already
        return [f"#regzbot fixed-by: {story.culprit.hash}"] if reply else []
    # The caret makes the parent the report. Where our earlier mail told of it, the thread is known.
    parent = reply and not (earlier and earlier.tracked)
    return [f"#regzbot {'^' if parent else ''}introduced: {story.culprit.hash}"]


def _trailers(story: Story, original: Original, sender: Address | None) -> list[str]:
    if story.kind != "cause" or not story.found or story.culprit is None:
        return []
    reporter = person(original.reported_by, "report.reported_by") if original.reported_by else sender
    lines = [f"Reported-by: {shown(reporter)}"] if reporter else []
    link = _link(original)
    lines += [f"Link: {link}"] if link else []
    return [*lines, f'Fixes: {story.culprit.hash[:12]} ("{one_line(story.culprit.title, TITLE)}")']


def _link(original: Original) -> str:
    if original.link:
        return re.sub(r"[^\x21-\x7e]", "", original.link)[: LINE // 2]
    if not original.message_id:
        return ""
    return "https://lore.kernel.org/r/" + quote(message_id(original.message_id, "report.message_id")[1:-1], safe="@+=")


def _text(**values: Any) -> str:
    environment = Environment(  # noqa: S701 - plain text; what is put in is cleaned by finalize
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, finalize=_cleaned
    )
    environment.globals.update(percent=percent, quoted=lambda text, lines: _Block(quoted(text, lines)))
    source = files("firstbad.report").joinpath("templates/mail.txt").read_text(encoding="utf-8")
    text = environment.from_string(source).render(**values)
    lines = [cut(line.rstrip(), LINE) for line in text.splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n") + "\n"


def _cleaned(value: Any) -> Any:
    return value if isinstance(value, _Block) else one_line(str(value), TITLE + 100)
