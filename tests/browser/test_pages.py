"""Every page: for everybody (axe-core), on a telephone, in the dark, without a word of complaint from the browser.

``FIRSTBAD_SHOTS=DIR`` keeps a picture of each.
"""

import os
import re
from pathlib import Path

import pytest
from tests.support.browsing import Watched, serving
from tests.support.stories import finished_job

from firstbad.store import Queue
from firstbad.store.crew import Sign

AXE = Path(__file__).parent / "axe" / "axe.min.js"
LONG = "BUG: " + "a_function_with_a_name_that_never_ends" * 8
JOB_PAGES = ("", "/runs", "/crashes", "/crashes?run=LAST", "/input", "/log", "/mail", "/overrule", "/consoles/CONSOLE")
PAGES = {
    **{f"job{page}": f"/jobs/1{page}" for page in JOB_PAGES},
    "list": "/",
    "list searched in vain": "/?q=nothing+is+called+so",
    "job not begun": "/jobs/2",
    "job waiting": "/jobs/3",
    "job failed": "/jobs/4",
    "job failed runs": "/jobs/4/runs",
    "job reopened": "/jobs/5",
    "job by hand overruled": "/jobs/5/overrule",
    "submit kernel": "/submit",
    "submit project": "/submit?as=project",
    "submit file": "/submit?as=file",
    "submit like": "/submit?like=1",
    "demo": "/submit/demo",
    "audit": "/audit",
    "system": "/system",
    "login": "/login",
    "error": "/jobs/999",
}
LOOKS = [(width, scheme) for width in (1200, 400) for scheme in ("light", "dark")]


def fill(directory: Path) -> tuple[Path, dict[str, str]]:
    """A store with jobs in all states; what stands for words in addresses."""
    done = finished_job(directory, culprit_title="net: " + "word " * 30, lab={"crash_rate": 0.7, "stranger_rate": 0.25})
    store, queue = done.store, Queue(done.store)
    job = store.job(1).job
    store.submit(job.model_copy(update={"title": LONG, "name": "a name with several words"}))
    queue.submit(job.model_copy(update={"title": "KASAN: waiting"}), submitted_by="Jo Doe")
    failed = queue.submit(job.model_copy(update={"title": "KASAN: failed", "private": True})).number
    start = done.history.commits["c23"]
    store.append(failed, "started", {"start": start, "head": "", "kind": "cause"})
    store.append(failed, "test", {"commit": start, "phase": "initial", "title": "c23"})
    store.append(failed, "failed", {"error": f"the crash was not reproduced: {LONG}", "status": "not_reproduced"})
    reopened = store.submit(job)
    for event in store.events(1):
        store.append(reopened, event.kind, event.data)
    said = {"commit": done.history.commits["c10"], "says": "bad", "who": "Jo Doe <jo@example.org>", "why": LONG}
    store.append(reopened, "opinion", {**said, "undo": False, "parents": []})
    Sign(store, {"version": "0", "free": 5 << 30, "machines": 2}).tell("working", 3, activity=f"building {start[:12]}")
    consoles = done.place.job(1) / "consoles"
    consoles.mkdir(parents=True, exist_ok=True)
    console = f"{start[:12]}-000.txt"
    (consoles / console).write_text("".join(f"[ {n}.0] a line of a console {'x' * (n % 300)}\n" for n in range(500)))
    other = [event.seq for event in store.events(1) if event.kind == "run" and "WARNING" in event.data["title"]]
    return done.place.root, {"CONSOLE": console, "LAST": str(other[-1])}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    home, words = fill(tmp_path_factory.mktemp("pages"))
    with serving(home, "--no-worker") as found:
        yield found, words


def address(service, name: str) -> str:
    found, words = service
    return found.base + re.sub("CONSOLE|LAST", lambda match: words[match[0]], PAGES[name])


def open_page(browser, service, name: str, width: int, scheme: str, **more):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **more)
    page = context.new_page()
    watched = Watched(service[0].base)
    watched.watch(page)
    page.goto(address(service, name))
    return context, page, watched


def every_page(browser, service, width: int, scheme: str, **more):
    """All of them one after the other in one tab: name, tab, what was heard of each."""
    context, page, watched = open_page(browser, service, "error", width, scheme, **more)
    for name in PAGES:
        watched.strangers.clear()
        watched.complaints.clear()
        page.goto(address(service, name))
        yield name, page, watched
    context.close()


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_every_page_fits_and_complains_of_nothing(browser, service, width, scheme):
    problems = []
    for name, page, watched in every_page(browser, service, width, scheme):
        seen = page.evaluate(
            """() => ({
                scroll: document.documentElement.scrollWidth,
                paper: getComputedStyle(document.body).backgroundColor,
                small: Math.min(...[...document.querySelectorAll('p, td, dd, li, code, h1, h2, label, summary')]
                    .filter(one => one.textContent.trim()).map(one => parseFloat(getComputedStyle(one).fontSize))),
                wide: [...document.querySelectorAll('main *')].filter(one => !one.closest('pre') && !one.closest('svg')
                    && one.getBoundingClientRect().right > innerWidth + 1).map(one => one.outerHTML.slice(0, 100)),
                headings: document.querySelectorAll('h1').length,
            })"""
        )
        if os.environ.get("FIRSTBAD_SHOTS"):
            file = re.sub(r"\W+", "-", name).strip("-")
            page.screenshot(path=Path(os.environ["FIRSTBAD_SHOTS"]) / f"{file}-{width}-{scheme}.png", full_page=True)
        expected = ["the server responded with a status of 404"] if name == "error" else []
        heard = [text for text in watched.complaints if not any(words in text for words in expected)]
        facts = {
            "requests to others": watched.strangers,
            "complaints": heard,
            "sideways": seen["wide"] if seen["scroll"] > width else [],
            "letters too small": [seen["small"]] if seen["small"] < 11 else [],
            "headings": [] if seen["headings"] == 1 else [seen["headings"]],
            "paper": [] if ("255" in seen["paper"]) == (scheme == "light") else [seen["paper"]],
        }
        problems += [f"{name}: {what}: {found}" for what, found in facts.items() if found]
    assert problems == []


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (1200, "dark"), (400, "light")])
def test_every_page_is_for_everybody(browser, service, width, scheme):
    problems = []
    for name, page, _ in every_page(browser, service, width, scheme, bypass_csp=True):
        page.add_script_tag(path=AXE)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        problems += [
            f"{name}: {one['impact']}: {one['id']}: {one['nodes'][0]['html'][:200]}" for one in found["violations"]
        ]
    assert problems == []


def test_by_keyboard(browser, service):
    context, page, _ = open_page(browser, service, "list", 1200, "light")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.type("KASAN")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=KASAN**")
    page.get_by_role("link", name="KASAN: waiting").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/jobs/3")
    context.close()
    context, page, _ = open_page(browser, service, "job", 1200, "light")
    report = page.get_by_role("region", name="Crash report")
    report.focus()
    page.keyboard.press("End")
    page.wait_for_timeout(300)
    assert report.evaluate("one => one.scrollTop > 0 || one.scrollHeight <= one.clientHeight"), "it scrolls by keys"
    context.close()


def test_audited_log(browser, service):
    context, page, watched = open_page(browser, service, "audit", 400, "dark")
    page.get_by_label("or its text").fill("bisecting cause commit starting from " + "a" * 40)
    page.get_by_role("button", name="Audit it").click()
    page.get_by_role("link", name="Audit another log").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    watched.check()
    context.close()
