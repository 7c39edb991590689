"""A job's report is sent, where somebody asked for that and no rule speaks against it."""

import datetime
from collections.abc import Callable, Sequence
from email.utils import make_msgid

from firstbad.errors import HeldBackError, UserError
from firstbad.home import Home
from firstbad.report.rules import Held
from firstbad.report.smtp import MailSettings, deliver
from firstbad.session.outbox import Outbox
from firstbad.session.posting import Posting, Wishes, posting
from firstbad.store import Store, StoredJob


def send_mail(
    place: Home,
    store: Store,
    stored: StoredJob,
    settings: MailSettings,
    wishes: Wishes,
    told: Callable[[Posting], None] = lambda _: None,
) -> tuple[Posting, str]:
    """Send a job's mail, once; what was sent and its Message-ID. ``told`` is called before.

    Raises HeldBackError where a rule speaks against it or the server does, UserError, InfrastructureError.
    """
    if stored.job.project is not None:
        raise HeldBackError("not sent: a report is about a kernel, and this job is any project's")
    if wishes.sender is None:
        raise UserError("--send needs --from 'Name <address>' (or 'from' in mail.toml)")
    sender = wishes.sender
    settings.server()
    outbox = Outbox(place, store)
    with outbox.locked():
        made = posting(place, store, stored, settings, wishes)
        told(made)
        if made.held:
            raise HeldBackError("not sent: " + reasons_of(made.held))
        own_id = make_msgid("firstbad", sender.domain)
        now = datetime.datetime.now(datetime.UTC)
        password = _password(place, settings)
        made.letter.message(sender, now, own_id)  # what can't be written is known before anything is recorded
        outbox.send(
            made.story,
            made.letter,
            own_id,
            made.named,
            lambda: deliver(
                settings,
                password,
                lambda eight: made.letter.message(sender, now, own_id, eight),
                sender.addr_spec,
                [*made.letter.to, *made.letter.cc],
            ),
        )
    return made, own_id


def reason_of(held: Held) -> str:
    """Why a report is held back, with the rule's name."""
    return f"{held.reason} [{held.name}]"


def reasons_of(held: Sequence[Held]) -> str:
    """The same of several."""
    return "; ".join(reason_of(one) for one in held)


def _password(place: Home, settings: MailSettings) -> str:
    if not settings.user:
        return ""
    file = place.root / settings.password_file
    try:
        return file.read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"mail.toml: password_file: {file}: {error}") from None
