"""``mail``: the report as kernel people expect it, to look at, to keep, or to send when that is asked for."""

import datetime
from email.headerregistry import Address
from pathlib import Path
from typing import Any, Literal

import click

from firstbad.cli.options import JOB
from firstbad.cli.output import say, say_json, tell
from firstbad.errors import HeldBackError, UserError
from firstbad.home import Home, home
from firstbad.report.addresses import person
from firstbad.report.mail import Original
from firstbad.report.rules import rules
from firstbad.report.smtp import MailSettings
from firstbad.session.outbox import Outbox
from firstbad.session.posting import Posting, Wishes, original_of, posting
from firstbad.session.sending import reason_of, reasons_of, send_mail
from firstbad.store import Store, StoredJob, open_store

_WAIVABLE = [rule.name for rule in rules() if rule.waivable]


@click.command(
    epilog="Example: firstbad mail 3 --output report.eml, and once it is read: firstbad mail 3 --send "
    "--from 'Jo Doe <jo@example.org>' --smtp mail.example.org:587"
)
@JOB
@click.option("--output", type=click.Path(path_type=Path), help="write it to a file (.eml) instead of stdout")
@click.option("--send", is_flag=True, help="send it; without this nothing ever leaves this machine")
@click.option("--smtp", metavar="HOST:PORT", help="the server; else 'smtp' of mail.toml in the data directory")
@click.option("--from", "sender", metavar="ADDRESS", help="'Name <address>'; else 'from' of mail.toml")
@click.option("--to", multiple=True, metavar="ADDRESS", help="who else is told (may be repeated)")
@click.option("--cc", multiple=True, metavar="ADDRESS", help="who else gets a copy (may be repeated)")
@click.option("--in-reply-to", metavar="ID", help="Message-ID of the mail that reported the crash; else the job's")
@click.option("--subject", help="its subject")
@click.option("--link", metavar="URL", help="where the crash is reported")
@click.option("--reported-by", metavar="ADDRESS", help="who reported the crash; else the job's, else who sends this")
@click.option("--waive", multiple=True, type=click.Choice(_WAIVABLE), help="send it in spite of this rule")
@click.option(
    "--settle", type=click.Choice(["sent", "unsent"]), help="say what became of a mail whose end was not seen"
)
@click.option("--json", "as_json", is_flag=True, help="one object: what was or would be sent, what holds it back")
def mail(
    number: int | None,
    output: Path | None,
    send: bool,
    smtp: str | None,
    sender: str | None,
    settle: Literal["sent", "unsent"] | None,
    as_json: bool,
    **said: Any,
) -> None:
    """The report of an answer as a mail. It is printed; --send sends it, once per bug, if no rule holds it back."""
    place = home()
    store = open_store(place)
    stored = store.job(number)
    if settle is not None:
        _settle(place, store, stored, settle)
        return
    settings = MailSettings.read(place.mail_settings)
    settings = settings.model_copy(update={key: value for key, value in (("smtp", smtp), ("sender", sender)) if value})
    wishes = _wishes(stored, settings, said)
    if send:
        _send(place, store, stored, settings, wishes, as_json)
        return
    made = posting(place, store, stored, settings, wishes)
    if as_json:
        _tell_what_holds(made)
        say_json(_json(made, ""))
        return
    if made.named and not made.story.candidates:
        raise HeldBackError("nothing to report: " + reasons_of(made.held))
    _tell_what_holds(made)
    _print(made, wishes.sender, output)


def _wishes(stored: StoredJob, settings: MailSettings, said: dict[str, Any]) -> Wishes:
    known = original_of(stored.job)
    named = said["in_reply_to"] or known.message_id
    original = Original(
        named,
        known.references if named == known.message_id else (),
        said["subject"] or known.subject,
        said["link"] or known.link,
        said["reported_by"] or known.reported_by,
    )
    sender = person(settings.sender, "--from") if settings.sender else None
    more = {name: [person(one, f"--{name}").addr_spec for one in said[name]] for name in ("to", "cc")}
    return Wishes(original, sender, more["to"], more["cc"], said["waive"])


def _send(place: Home, store: Store, stored: StoredJob, settings: MailSettings, wishes: Wishes, as_json: bool) -> None:
    def told(made: Posting) -> None:
        for note in made.letter.notes:
            tell(note)

    made, own_id = send_mail(place, store, stored, settings, wishes, told)
    if as_json:
        say_json(_json(made, own_id))
    else:
        say(f"sent to {', '.join([*made.letter.to, *made.letter.cc])}: {own_id}")


def _settle(place: Home, store: Store, stored: StoredJob, settle: Literal["sent", "unsent"]) -> None:
    outbox = Outbox(place, store)
    with outbox.locked():
        found = outbox.settle(stored.id, "sent" if settle == "sent" else "failed")
    if found is None:
        raise UserError(f"job {stored.id} has no mail whose end was not seen")
    say(f"{found.id}: {settle}")


def _tell_what_holds(made: Posting) -> None:
    if made.corrects:
        what = "corrects" if made.named else "takes back"
        tell(f"this {what} {made.corrects}")
    for note in made.letter.notes:
        tell(note)
    for one in made.held:
        tell(f"held back: {reason_of(one)}", style="yellow")


def _print(made: Posting, sender: Address | None, output: Path | None) -> None:
    draft = made.letter.message(sender, datetime.datetime.now(datetime.UTC))
    raw = draft.as_bytes(policy=draft.policy.clone(linesep="\n"))
    if output is None:
        click.echo(raw, nl=False)
        return
    try:
        output.write_bytes(raw)
    except OSError as error:
        raise UserError(f"--output {output}: {error.strerror}") from None
    tell(f"written: {output}")


def _json(made: Posting, own_id: str) -> dict[str, Any]:
    letter = made.letter
    return {
        "job": made.story.job,
        "sent": own_id,
        "corrects": made.corrects,
        "subject": letter.subject,
        "to": list(letter.to),
        "cc": list(letter.cc),
        "held": [{"rule": one.name, "reason": one.reason, "waivable": one.waivable} for one in made.held],
        "notes": list(letter.notes),
    }


COMMANDS = (mail,)
