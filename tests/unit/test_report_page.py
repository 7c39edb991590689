"""The story of a job and its page: what it tells, that it needs nothing else, that hostile text stays text."""

import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from tests.support.stories import finished_job

from firstbad.report.page import html_page
from firstbad.report.picture import LEVELS, curve, row, shades
from firstbad.report.story import Strip
from firstbad.report.words import chance, headline, percent
from firstbad.session.story import tell

EVIL = '<script>alert(1)</script><img src="http://example.org/x.png" onerror=alert(1)>'


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return finished_job(tmp_path_factory.mktemp("job"), lab={"crash_rate": 0.5, "stranger_rate": 0.1})


class Reader(HTMLParser):
    """Elements with their attributes, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_the_story_holds_what_the_events_say(done):
    story = done.story()
    culprit = done.history.commits["c13"]
    assert story.found
    assert story.culprit.hash == culprit
    assert story.culprit.files == ("src/c13.c",)
    assert "+c13" in story.culprit.patch
    assert story.culprit.author == "A Developer <dev@example.org>"
    assert not story.culprit.is_release
    assert story.proof == "gone"
    assert sum(step.last - step.first + 1 for step in story.steps) == len(done.store.events(done.number)) - sum(
        event.kind != "test" for event in done.store.events(done.number)
    )
    roles = {revision.role: revision for revision in story.revisions if revision.role}
    assert set(roles) == {"start", "culprit", "parent"}
    assert roles["culprit"].crashes
    assert not roles["parent"].crashes
    assert 0.2 < story.crash_rate < 0.8


def test_the_belief_narrows_to_the_culprit(done):
    belief = done.story().belief
    last = belief.strips[-1]
    assert sum(last.shares) + last.older == pytest.approx(1, abs=1e-4)
    assert max(last.shares) > 0.98
    assert max(belief.strips[0].shares) < 0.5
    assert belief.newest == done.history.commits["c23"]
    assert [tag for _, tag in belief.releases] == ["v6.1", "v6.2"]


def test_a_page_needs_nothing_else(done):
    page = html_page(done.story())
    seen = Reader(page)
    assert not {tag for tag, _ in seen.found} & {"script", "link", "img", "iframe", "object", "form", "a"}
    assert not [name for _, names in seen.found for name in names if name in ("src", "href", "srcset", "action")]
    assert "url(" not in page
    assert "@import" not in page
    for words in ("First bad commit", "c13", "Confirmation", "Evidence", "The path", "Costs", "v6.1", "+c13"):
        assert words in seen.text, words


def test_hostile_text_stays_text(done):
    story = done.story()
    culprit = replace(story.culprit, title=EVIL, author=EVIL, message=EVIL, patch=f"+{EVIL}\n-</pre>{EVIL}")
    belief = replace(story.belief, releases=((0.5, EVIL[:20]),))
    evil = replace(
        story, crash_title=EVIL, crash_report=f"{EVIL}\udcff\x00", name=EVIL, culprit=culprit, why=EVIL, proof_why=EVIL,
        belief=belief, compiler=EVIL, to=(EVIL,), notes=(EVIL,), revisions=tuple(replace(r, title=EVIL, reach=EVIL,
        build=EVIL, verdict=f'"{EVIL}') for r in story.revisions), steps=tuple(replace(s, title=EVIL, phase=EVIL,
        outcomes=EVIL, verdict=f'"{EVIL}') for s in story.steps),
    )  # fmt: skip
    page = html_page(evil)
    seen = Reader(page)
    assert not {tag for tag, _ in seen.found} & {"script", "img"}
    assert not [name for _, names in seen.found for name in names if name.startswith("on") or name == "src"]
    assert seen.text.count(EVIL) > 10
    assert "\x00" not in page
    page.encode()


def test_text_is_not_turned_around(done):
    story = replace(done.story(), crash_title="good\u202edab\u2066x", crash_report="a\u200fb\x1b[31m\tc\nd")
    page = html_page(story)
    assert not re.search("[\u200e\u200f\u202a-\u202e\u2066-\u2069\x1b]", page)
    assert "\tc\nd" in page


def test_without_its_repository_a_job_is_told_of_from_its_events(tmp_path):
    done = finished_job(tmp_path)
    before = done.story()
    shutil.rmtree(done.history.path)
    story = done.story()
    assert story == before
    assert "+c13" in Reader(html_page(story)).text


def test_events_of_old_need_the_repository(tmp_path):
    done = finished_job(tmp_path)

    def told():
        events = [replace(e, data={k: v for k, v in e.data.items() if k not in ("sketch", "details", "titles")})
                  for e in done.store.events(done.number)]  # fmt: skip
        return tell(done.place, done.store.job(done.number), events)

    now, before = done.story(), told()
    assert before.culprit == now.culprit
    assert before.candidates == now.candidates
    for old, new in zip(before.belief.strips, now.belief.strips, strict=True):
        assert new.tested == old.tested
        assert new.older == pytest.approx(old.older, abs=0.05)
        assert new.shares == pytest.approx(old.shares, rel=0.3, abs=1e-6)
    shutil.rmtree(done.history.path)
    story = told()
    assert story.found
    assert story.belief is None
    assert len(story.notes) == 3
    page = Reader(html_page(story)).text
    assert done.history.commits["c13"] in page
    assert "no picture of the history" in page


def test_unfinished_and_unsure(done):
    story = replace(done.story(), status="unfinished", candidates=(), culprit=None)
    assert "no answer yet" in html_page(story)
    unsure = replace(done.story(), status="candidates", culprit=None, candidates=done.story().candidates * 70)
    page = Reader(html_page(unsure)).text
    assert "it is one of 70" in page
    assert "and 20 more" in page


def test_what_people_said_is_told(tmp_path):
    done = finished_job(tmp_path)
    said = {"commit": done.history.commits["c13"], "says": "wrong", "who": EVIL, "why": "it <stays>", "undo": False}
    done.store.append(done.number, "opinion", said | {"parents": [done.history.commits["c12"]]})
    story = done.story()
    assert story.status == "unfinished"
    page = Reader(html_page(story)).text
    assert "not the culprit (it <stays>)" in page
    assert "There is no answer yet" in page


def test_why_there_is_no_answer_is_told(tmp_path):
    done = finished_job(tmp_path)
    done.store.append(done.number, "opinion", {"commit": done.history.commits["c13"], "says": "wrong", "who": "Jo",
                                               "why": "x", "undo": False, "parents": []})  # fmt: skip
    done.store.append(done.number, "failed", {"error": "the disk is <full>"})
    assert "the disk is <full>" in Reader(html_page(done.story())).text


def test_shades_are_logarithmic():
    assert shades([1.0, 0.1, 0.01, 1e-5, 0.0]) == [LEVELS, 6, 4, 0, 0]
    assert shades([0.0, 0.0]) == [0, 0]
    drawn = row(Strip((0.5, 0.5, 0.0, 0.05), 0.0, 3, "bad"))
    assert drawn.paths == ((6, "M3 0h1v1h-1z"), (LEVELS, "M0 0h2v1h-2z"))
    assert drawn.mark == 3.5


def test_the_curve_falls(done):
    drawn = curve(done.story().steps)
    heights = [float(y) for y in re.findall(r"V([\d.]+)", drawn.path)]
    assert drawn.first > drawn.last == 1
    assert heights[-1] == max(heights)


def test_no_probability_is_said_to_be_certain():
    assert [chance(p) for p in (1.0, 0.0, 0.5, 0.9999)] == [">99.99%", "<0.01%", "50%", "99.99%"]
    assert percent(0.99998) == ">99.99%"
    assert percent(0.9984) == "99.84%"
    assert percent(0.000287) == "0.029%"
    assert percent(1.0) == "100%"


def test_headlines(done):
    story = done.story()
    assert headline(story) == f"First bad commit: {done.history.commits['c13'][:12]} c13"
    unfinished = replace(story, status="unfinished", culprit=None, candidates=(), why="the disk is full")
    assert headline(unfinished) == "No answer: the disk is full"
    assert "older than the oldest" in headline(replace(story, status="older_than_oldest", culprit=None))
