"""What would be mailed about a job now, to whom, and what speaks against it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from email.headerregistry import Address

from firstbad.home import Home
from firstbad.job import Job
from firstbad.report.addresses import OptOut
from firstbad.report.mail import Letter, Original, compose
from firstbad.report.rules import Held, held_back, rules
from firstbad.report.smtp import MailSettings
from firstbad.report.story import Story
from firstbad.session.outbox import Outbox, as_earlier
from firstbad.session.story import tell
from firstbad.store import Store, StoredJob


@dataclass(frozen=True)
class Wishes:
    """What a person says about one mail."""

    original: Original | None = None
    """Instead of what the job says of the mail that reported the crash."""
    sender: Address | None = None
    to: Sequence[str] = ()
    cc: Sequence[str] = ()
    waived: Collection[str] = field(default=())
    """Names of rules that are not to hold it back."""


@dataclass(frozen=True)
class Posting:
    """A mail and what holds it back; none: it may be sent."""

    story: Story
    letter: Letter
    named: bool
    """Whether it tells the answer; else it only takes an earlier mail back."""
    corrects: str
    """Message-ID of the earlier mail that it corrects; empty: it is the first."""
    held: tuple[Held, ...]


def original_of(job: Job) -> Original:
    """The mail that reported the crash, as the job has it."""
    said = job.report
    return Original(said.message_id, tuple(said.references), said.subject, said.link, said.reported_by)


def posting(home: Home, store: Store, stored: StoredJob, settings: MailSettings, wishes: Wishes) -> Posting:
    """The mail of a job as of now. An earlier mail that named something else is corrected, by the new answer where that
    may be told, else by taking it back.

    Raises UserError for settings, addresses and Message-IDs that can't be used.
    """
    outbox, optout = Outbox(home, store), OptOut.read(home.optout)
    story, job = tell(home, stored, store.events(stored.id), picture=False), stored.job
    before = outbox.earlier(story)

    def letter(named: bool) -> Letter:
        return compose(
            story,
            wishes.original or original_of(job),
            wishes.sender,
            more_to=(*job.report.to, *wishes.to),
            more_cc=(*job.report.cc, *wishes.cc),
            optout=optout,
            earlier=as_earlier(before) if before else None,
            named=named,
            regzbot=job.report.regzbot,
        )

    made = letter(True)
    held = held_back(outbox.facts(story, made, settings), wishes.waived)
    if before is not None and any(not _corrects(one) for one in held):
        made = letter(False)
        held = held_back(outbox.facts(story, made, settings, named=False), wishes.waived, correction=True)
        return Posting(story, made, False, before.id, tuple(held))
    return Posting(story, made, True, before.id if before else "", tuple(held))


def _corrects(held: Held) -> bool:
    return next(rule.corrects for rule in rules() if rule.name == held.name)
