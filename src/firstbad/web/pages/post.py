"""The mail about an answer: how it would look, what holds it back, and sending it."""

import datetime
from email.headerregistry import Address
from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse

from firstbad.errors import FirstbadError, UserError
from firstbad.report.addresses import person
from firstbad.report.rules import rules
from firstbad.report.smtp import MailSettings
from firstbad.session.outbox import Outbox, mails
from firstbad.session.posting import Posting, Wishes, posting
from firstbad.session.sending import send_mail
from firstbad.store import StoredJob
from firstbad.web.auth import Admin, Reader, Viewer, check_form
from firstbad.web.pages.asked import back
from firstbad.web.pages.seen import OwnJob, SeenJob, changes
from firstbad.web.site import Site, TheSite
from firstbad.web.words import bug_of

router = APIRouter()


@router.get("/jobs/{number}/mail", response_class=HTMLResponse)
def mail_page(site: TheSite, viewer: Reader, stored: SeenJob) -> str:
    """The mail as it would be sent now."""
    return _page(site, viewer, stored)


@router.get("/jobs/{number}/mail.eml", response_class=PlainTextResponse)
def mail_file(site: TheSite, viewer: Reader, stored: SeenJob) -> PlainTextResponse:
    """The mail as a draft for one's own mail program."""
    made, settings = _made(site, stored, "", ())
    draft = made.letter.message(_sender(settings.sender), None)
    headers = {"Content-Disposition": f'attachment; filename="firstbad-{stored.id}.eml"'}
    return PlainTextResponse(draft.as_bytes(), headers=headers, media_type="message/rfc822")


def _page(site: Site, viewer: Viewer, stored: StoredJob, problem: str = "", sender: str = "") -> str:
    made, text, notes = None, "", ""
    try:
        if stored.job.project is not None:
            raise UserError("a report is about a kernel, and this job is any project's")
        made, settings = _made(site, stored, sender, ())
        sender = sender or settings.sender
        now = datetime.datetime.now(datetime.UTC)
        draft = made.letter.message(_sender(settings.sender), now)
        text = draft.as_bytes(policy=draft.policy.clone(linesep="\n", cte_type="8bit")).decode("utf-8", "replace")
    except FirstbadError as error:
        notes = str(error)
    return site.render(
        "mail.html",
        viewer=viewer,
        stored=stored,
        title=bug_of(stored),
        made=made,
        text=text,
        notes=notes,
        problem=problem,
        sender=sender,
        sent=[one for one in mails(site.store) if one.job == stored.id],
        may_send=viewer.may("admin") and changes(viewer, stored),
    )


def _made(site: Site, stored: StoredJob, sender: str, waived: tuple[str, ...]) -> tuple[Posting, MailSettings]:
    settings, wishes = _wishes(site, sender, waived)
    return posting(site.home, site.store, stored, settings, wishes), settings


def _wishes(site: Site, sender: str, waived: tuple[str, ...]) -> tuple[MailSettings, Wishes]:
    settings = MailSettings.read(site.home.mail_settings)
    if sender:
        settings = settings.model_copy(update={"sender": sender})
    return settings, Wishes(sender=_sender(settings.sender), waived=waived)


def _sender(text: str) -> Address | None:
    return person(text, "From") if text else None


@router.post("/jobs/{number}/mail", dependencies=[Depends(check_form)], response_model=None)
def send(
    site: TheSite,
    viewer: Admin,
    stored: OwnJob,
    sender: Annotated[str, Form(max_length=300)],
    waive: Annotated[list[str] | None, Form()] = None,
    sure: Annotated[bool, Form(description="it was read")] = False,
) -> HTMLResponse | RedirectResponse:
    """Send it, once."""
    known = {rule.name for rule in rules() if rule.waivable}
    if not sure:
        raise HTTPException(400, "say that you have read the mail")
    try:
        settings, wishes = _wishes(site, sender, tuple(name for name in waive or () if name in known))
        send_mail(site.home, site.store, stored, settings, wishes)
    except FirstbadError as error:
        return HTMLResponse(_page(site, viewer, stored, str(error), sender), 409)
    return back(stored, "/mail")


@router.post("/jobs/{number}/settle", dependencies=[Depends(check_form)])
def settle(
    site: TheSite, viewer: Admin, stored: OwnJob, fate: Annotated[str, Form(pattern="^(sent|unsent)$")]
) -> RedirectResponse:
    """Say what became of a mail whose end was not seen."""
    outbox = Outbox(site.home, site.store)
    with outbox.locked():
        outbox.settle(stored.id, "sent" if fate == "sent" else "failed")
    return back(stored, "/mail")
