"""Which mail went out about which bug: events of the kind ``mail`` in the jobs' logs.

Before a mail is handed over its event says ``sending``, after it one more says ``sent`` or ``failed``. A process that
dies in between leaves a mail whose fate nobody knows: it is not sent again until a person has looked and settled it.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from firstbad import locks
from firstbad.errors import UserError
from firstbad.home import Home
from firstbad.report.mail import Earlier, Letter, bug_key
from firstbad.report.rules import Facts
from firstbad.report.smtp import MailSettings, NotSentError
from firstbad.report.story import Story
from firstbad.store import Store

Fate = Literal["sending", "sent", "failed"]
HOUR, DAY = 3600.0, 86400.0


@dataclass(frozen=True)
class Mail:
    """One mail; ``data`` is that of its first event, ``time`` when it was begun. ``sending``: its fate is not known."""

    job: int
    time: float
    fate: Fate
    data: dict[str, Any]

    @property
    def bug(self) -> str:
        """What it was about; empty: it only took an earlier one back."""
        return str(self.data["bug"])

    @property
    def id(self) -> str:
        """Its Message-ID."""
        return str(self.data["message_id"])


def mails(store: Store) -> list[Mail]:
    """All of all jobs, oldest first."""
    found: dict[str, Mail] = {}
    for job, event in store.events_of_kind("mail"):
        own = str(event.data["message_id"])
        if event.data["state"] == "sending":
            found[own] = Mail(job, event.time, "sending", event.data)
        elif own in found:
            found[own] = Mail(job, found[own].time, event.data["state"], found[own].data)
    return list(found.values())


class Outbox:
    """What was sent, and sending. Whoever decides by it holds :meth:`locked`."""

    def __init__(self, home: Home, store: Store) -> None:
        self.home, self.store = home, store

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time looks at what was sent and sends."""
        self.home.root.mkdir(parents=True, exist_ok=True)
        with locks.locked(self.home.root / "mail.lock"):
            yield

    def last(self, job: int) -> Mail | None:
        """The job's newest mail that went out."""
        return next((one for one in reversed(mails(self.store)) if one.job == job and one.fate == "sent"), None)

    def earlier(self, story: Story) -> Mail | None:
        """The job's mail that named another answer than it has now, or took it back; None where none did."""
        last = self.last(story.job)
        return last if last is not None and last.bug != key_of(story) else None

    def facts(self, story: Story, letter: Letter, settings: MailSettings, named: bool = True) -> Facts:
        """What the rules look at; ``named`` False: the letter only takes an earlier one back."""
        known, now = mails(self.store), time.time()
        bug = key_of(story) if named else ""
        out = [one.time for one in known if one.fate != "failed"]
        unknown = [one for one in known if one.fate == "sending" and (one.job == story.job or (bug and one.bug == bug))]
        return Facts(
            story,
            len(letter.to) + len(letter.cc) if letter.to else 0,
            self._already(known, story.job, bug),
            f"job {unknown[-1].job}, {unknown[-1].id}" if unknown else "",
            sum(now - at < HOUR for at in out),
            sum(now - at < DAY for at in out),
            settings.per_hour,
            settings.per_day,
        )

    def _already(self, known: Sequence[Mail], job: int, bug: str) -> str:
        newest = {one.job: one for one in known if one.fate == "sent"}
        own = newest.get(job)
        if own is not None:  # what another job sent about an answer that this one has come to is no matter then
            return f"{own.id}" if own.bug == bug else ""
        same = next((one for one in newest.values() if one.bug == bug), None) if bug else None
        return f"by job {same.job}, {same.id}" if same else ""

    def send(
        self, story: Story, letter: Letter, own_id: str, named: bool, hand_over: Callable[[], dict[str, str]]
    ) -> None:
        """Record, deliver, record. Raises what ``hand_over`` does."""
        culprit = story.culprit if named else None
        self.store.append(
            story.job,
            "mail",
            {
                "state": "sending",
                "message_id": own_id,
                "bug": key_of(story) if named else "",
                "culprit": culprit.hash if culprit else "",
                "title": culprit.title if culprit else "",
                "subject": letter.subject,
                "to": list(letter.to),
                "cc": list(letter.cc),
                "references": list(letter.references),
                "tracked": letter.tracked,
            },
        )
        try:
            refused = hand_over()
        except (NotSentError, UserError) as error:
            self.store.append(story.job, "mail", {"state": "failed", "message_id": own_id, "error": str(error)})
            raise
        self.store.append(story.job, "mail", {"state": "sent", "message_id": own_id, "refused": refused})

    def settle(self, job: int, fate: Literal["sent", "failed"]) -> Mail | None:
        """Say what became of the job's mail whose fate is not known; None where there is none."""
        open_ones = [one for one in mails(self.store) if one.job == job and one.fate == "sending"]
        for one in open_ones:
            self.store.append(job, "mail", {"state": fate, "message_id": one.id, "by": "settled by a person"})
        return open_ones[-1] if open_ones else None


def key_of(story: Story) -> str:
    """The bug that a story's answer is about; the commits of an answer that names several together, none: empty."""
    names = story.culprit.hash if story.culprit else " ".join(one.hash for one in story.candidates)
    return bug_key(names, story.crash_title) if names else ""


def as_earlier(mail: Mail) -> Earlier:
    """A mail that went out, as the one that is corrected."""
    data = mail.data
    return Earlier(
        mail.id,
        tuple(data["references"]),
        data["subject"],
        tuple(data["to"]),
        tuple(data["cc"]),
        data["culprit"],
        data["title"],
        bool(data["tracked"]),
    )
