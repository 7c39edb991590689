"""What a job's answer rests on: every run, every console, the crashes side by side."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, PlainTextResponse

from firstbad.crash import Report
from firstbad.errors import NotFoundError
from firstbad.session.outcome import from_event
from firstbad.store import StoredJob
from firstbad.web.auth import Reader
from firstbad.web.desk import Known
from firstbad.web.evidence import Comparison, beside, bug_report, crashes, revisions
from firstbad.web.pages.seen import SeenJob
from firstbad.web.site import Site, TheSite
from firstbad.web.words import bug_of

router = APIRouter()
SHOWN = 256 << 10  # bytes of a console that its page shows, the last ones
MOST_CONSOLES = 20_000


@router.get("/jobs/{number}/runs", response_class=HTMLResponse)
def runs_page(site: TheSite, viewer: Reader, stored: SeenJob) -> str:
    """Every run of every revision."""
    names = _consoles(site, stored)
    with site.desk.open(stored) as known:
        found = revisions(known.events, names, known.state.bug)
        marks = {test.commit: test.mark for test in known.state.tests if test.mark}
        builds = dict(known.state.builds)
    return site.render(
        "runs.html", viewer=viewer, stored=stored, title=bug_of(stored), found=found, marks=marks, builds=builds,
        consoles=bool(names),
    )  # fmt: skip


@router.get("/jobs/{number}/consoles/{name}", response_class=HTMLResponse)
def console_page(site: TheSite, viewer: Reader, stored: SeenJob, name: str) -> str:
    """The end of one console."""
    text, cut = _console(site, stored, name)
    return site.render(
        "console.html", viewer=viewer, stored=stored, title=bug_of(stored), name=name, text=text, cut=cut
    )


@router.get("/jobs/{number}/consoles/{name}/text", response_class=PlainTextResponse)
def console_text(site: TheSite, viewer: Reader, stored: SeenJob, name: str) -> str:
    """All of one console."""
    return _console(site, stored, name, whole=True)[0]


def _consoles(site: Site, stored: StoredJob) -> list[str]:
    directory = site.home.job(stored.id) / "consoles"
    if not directory.is_dir():
        return []
    looked = zip(directory.iterdir(), range(MOST_CONSOLES), strict=False)
    return [path.name for path, _ in looked if path.is_file() and not path.is_symlink()]


def _console(site: Site, stored: StoredJob, name: str, whole: bool = False) -> tuple[str, bool]:
    """Its text, and whether there is more before it. Raises NotFoundError."""
    # Looked up among what is there: the name in the request never becomes a path.
    known = next((one for one in _consoles(site, stored) if one == name), None)
    if known is None:
        raise NotFoundError(f"job {stored.id} has no console of that name on this machine")
    with (site.home.job(stored.id) / "consoles" / known).open("rb") as file:
        size = file.seek(0, 2)
        start = 0 if whole else max(0, size - SHOWN)
        file.seek(start)
        return file.read().decode("utf-8", "replace"), start > 0


@router.get("/jobs/{number}/crashes", response_class=HTMLResponse)
def crashes_page(
    site: TheSite, viewer: Reader, stored: SeenJob, run: Annotated[int | None, Query(ge=0, lt=1 << 31)] = None
) -> str:
    """Every kind of crash that was seen, one of them beside the bug's own."""
    with site.desk.open(stored) as known:
        found = known.once("crashes", lambda: crashes(known.events, known.state.bug))
        ours = known.once("report", lambda: bug_report(known.state, known.events))
        chosen = run if run is not None else next((one.seq for one in found[1:]), None)
        compared = known.once(("beside", chosen), lambda: _compared(known, ours, chosen))
    return site.render(
        "crashes.html", viewer=viewer, stored=stored, title=bug_of(stored), found=found, ours=ours, chosen=chosen,
        compared=compared, picked=next((one for one in found if one.seq == chosen), None),
    )  # fmt: skip


def _compared(known: Known, ours: Report | None, seq: int | None) -> Comparison | None:
    event = next((one for one in known.events if one.seq == seq and "report" in one.data), None)
    theirs = from_event(event.data).report if event is not None and "outcome" in event.data else None
    return beside(ours, theirs) if ours is not None and theirs is not None else None
