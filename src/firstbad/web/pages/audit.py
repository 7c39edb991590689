"""How far to trust a bisection log that somebody uploads or pastes."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, HTTPException, UploadFile
from fastapi.responses import HTMLResponse

from firstbad.audit import facts_of, judge
from firstbad.audit.words import RESULTS, doubted_of, log_of, name_of, reasons, shown, suspicion
from firstbad.errors import UserError
from firstbad.web.auth import Reader, Submitter, check_form
from firstbad.web.site import TheSite

router = APIRouter()
MOST = 4 << 20  # bytes of a log
DOUBTED = 50  # verdicts that are shown


@router.get("/audit", response_class=HTMLResponse)
def audit_page(site: TheSite, viewer: Reader) -> str:
    """Where a log is handed in."""
    return site.render("audit.html", viewer=viewer, here="/audit")


@router.post("/audit", dependencies=[Depends(check_form)], response_class=HTMLResponse)
def audit(
    site: TheSite,
    viewer: Submitter,
    file: Annotated[UploadFile | None, Form()] = None,
    text: Annotated[str, Form(max_length=MOST)] = "",
) -> HTMLResponse:
    """What the log says of its own answer. Nothing of it is kept."""
    name = "the log"
    if file is not None and file.filename:
        data, name = file.file.read(MOST + 1), file.filename[:200]
        if len(data) > MOST:
            raise HTTPException(413, f"more than {MOST >> 20} MiB: this is no bisection log")
        text = data.decode("utf-8", "replace")
    try:
        values = _judged(text, name)
    except UserError as error:
        return HTMLResponse(
            site.render("audit.html", viewer=viewer, here="/audit", problem=str(error), text=text[:100_000]), 400
        )
    return HTMLResponse(site.render("audited.html", viewer=viewer, here="/audit", name=name, **values))


def _judged(text: str, name: str) -> dict[str, Any]:
    log = log_of(text, name)
    judged = judge(facts_of(log))
    facts, suspect = judged.facts, judged.suspect
    return {
        "judged": judged,
        "facts": facts,
        "log": log,
        "result": RESULTS.get(log.status, log.status),
        "reasons": reasons(judged),
        "suspicion": suspicion(judged),
        "suspected": suspect.chance if suspect else 0.0,
        "doubted": [(one, name_of(row), shown(row)) for one, row in doubted_of(judged)[:DOUBTED]],
        "revisions": [
            (one, row, name_of(row), shown(row)) for one, row in zip(judged.revisions, facts.revisions, strict=True)
        ][:500],
    }
