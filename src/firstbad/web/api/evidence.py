"""The answer's commits, and what it rests on."""

from fastapi import APIRouter

from firstbad.report.story import Revision, Story
from firstbad.session import fold
from firstbad.session.story import tell
from firstbad.web.api.models import Candidate, Candidates, Evidence, RevisionOut, errors
from firstbad.web.pages.seen import SeenJob
from firstbad.web.site import TheSite

router = APIRouter(prefix="/jobs/{number}", tags=["answer"])


@router.get("/candidates", responses=errors(404))
def candidates(stored: SeenJob, site: TheSite) -> Candidates:
    """The smallest set of commits that is sure enough, most probable first; while there is none, the favourite."""
    events = site.store.events(stored.id)
    story = tell(site.home, stored, events)
    found = [Candidate(commit=c.hash, title=c.title, probability=c.probability) for c in story.candidates]
    if not found:
        state = fold(events, stored.job.title)
        best = next((mark for test in reversed(state.tests) if (mark := test.mark or {}).get("best")), None)
        if best is not None:
            found = [Candidate(commit=best["best"], title="", probability=best["best_probability"])]
    return Candidates(status=story.status, confidence=story.confidence, candidates=found)


@router.get("/evidence", responses=errors(404))
def evidence(stored: SeenJob, site: TheSite) -> Evidence:
    """Every tested revision with its runs by outcome, the crash, the proof, and what people said."""
    story: Story = tell(site.home, stored, site.store.events(stored.id))
    return Evidence(
        crash_title=story.crash_title,
        crash_report=story.crash_report,
        rate=story.crash_rate,
        revisions=[_revision(one) for one in story.revisions],
        proof=story.proof,
        proof_why=story.proof_why,
        opinions=list(story.opinions),
    )


def _revision(one: Revision) -> RevisionOut:
    names = [name for name in RevisionOut.model_fields if name != "commit"]
    return RevisionOut(commit=one.hash, **{name: getattr(one, name) for name in names})
