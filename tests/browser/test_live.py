"""The service as people use it: a job is begun in the page and runs to its end before their eyes."""

import shutil
import subprocess

import pytest
from tests.support.browsing import Watched, serving
from tests.support.histories import History

COMMITS, CULPRIT = 24, 15
SECONDS = 240_000  # milliseconds until a small project's job has ended, on a slow machine


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project whose 16th commit broke its test."""
    made = History(tmp_path_factory.mktemp("service") / "calculator")
    for number in range(COMMITS):
        answer = 42 if number < CULPRIT else 41
        test = f"sleep 0.2; test $(cat answer) = 42 || {{ echo 'assertion failed: the answer is {answer}'; exit 1; }}\n"
        made.commit(f"calculator: step {number}", {"answer": f"{answer}\n", "check.sh": test, "log": f"{number}\n"})
    made.tag("v1.0", "calculator: step 0")
    return made


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("service") / "home") as found:
        yield found


@pytest.mark.parametrize("way", ["fields", "file"])
def test_a_job_is_begun_in_the_page_and_ends_live(browser, service, project, way):
    page = browser.new_page()
    watched = Watched(service.base)
    watched.watch(page)
    page.goto(f"{service.base}/")
    page.get_by_role("link", name="New job").click()
    if way == "fields":
        page.get_by_role("link", name="Any project's failing test").click()
        page.get_by_label("Repository").fill(str(project.path))
        page.get_by_label("Test", exact=True).fill("sh check.sh")
        page.get_by_label("Known to be good").fill("v1.0")
    else:
        page.get_by_role("link", name="A job file").click()
        text = f'repo = "{project.path}"\ngood = ["v1.0"]\ncommit = "master"\n[project]\ncommand = ["sh", "check.sh"]\n'
        page.get_by_label("Job file").fill(text)
    page.get_by_role("button", name="Begin").click()
    page.wait_for_url("**/jobs/*")
    page.evaluate("window.neverLoadedAgain = true")
    page.locator(".badge.running").wait_for(timeout=60_000)
    page.locator("#now strong").wait_for(timeout=60_000)
    loaded = []
    page.on("request", lambda request: loaded.append(request.url))
    page.locator("ol.path li").nth(2).wait_for(timeout=60_000)
    assert len(loaded) <= 1, "what is new is sent, not asked for"
    page.locator(".badge.finished").wait_for(timeout=SECONDS)
    assert page.evaluate("window.neverLoadedAgain"), "the page changed without being loaded again"
    answer = page.get_by_label("Answer")
    assert f"calculator: step {CULPRIT}" in answer.inner_text()
    assert project.commits[f"calculator: step {CULPRIT}"][:12] in answer.inner_text()
    assert page.locator("svg.today line.t").count() >= 2
    assert "-42" in page.get_by_label("Diff").inner_text()
    assert page.locator("#now").inner_text().strip() == ""
    page.close()
    watched.check()


def test_a_list_changes_by_itself(browser, service, project):
    page = browser.new_page()
    watched = Watched(service.base)
    watched.watch(page)
    page.goto(f"{service.base}/")
    before = page.locator("tbody tr").count()
    page.evaluate("window.neverLoadedAgain = true")
    other = browser.new_page()
    other.goto(f"{service.base}/submit?as=project")
    other.get_by_label("Repository").fill(str(project.path))
    other.get_by_label("Test", exact=True).fill("sh check.sh; exit 0")
    other.get_by_label("Known to be good").fill("v1.0")
    other.get_by_role("button", name="Begin").click()
    other.wait_for_url("**/jobs/*")
    other.close()
    page.locator("tbody tr").nth(before).wait_for(timeout=30_000)
    page.locator(".badge.failed").first.wait_for(timeout=SECONDS)
    assert page.evaluate("window.neverLoadedAgain")
    page.close()
    watched.check()


def test_a_culprit_is_rejected_and_the_search_goes_on(browser, service, project):
    page = browser.new_page()
    watched = Watched(service.base)
    watched.watch(page)
    page.goto(f"{service.base}/jobs/1")
    page.get_by_role("link", name="This is not the culprit").click()
    form = page.get_by_role("group", name="The culprit is wrong")
    form.get_by_label("Why").fill("it was <b>tested</b> by hand")
    form.get_by_role("button", name="Reject this culprit").click()
    page.wait_for_url("**/jobs/1")
    page.get_by_text("What people said").wait_for()
    assert "it was <b>tested</b> by hand" in page.locator("main").inner_text()
    page.locator(".badge.finished").wait_for(timeout=SECONDS)
    page.close()
    watched.check()


def test_without_scripts_everything_is_read_and_forms_work(browser, service, project):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{service.base}/")
    page.get_by_label("Search").fill("answer is 41")
    page.get_by_role("button", name="Show").click()
    page.goto(f"{service.base}/jobs/2")
    assert "First bad commit" in page.get_by_label("Answer").inner_text()
    assert page.locator("svg.today path").count() >= 1
    for tab in ("Runs", "Failures", "What was asked", "Log"):
        page.get_by_role("navigation", name="Job 2").get_by_role("link", name=tab).click()
        assert page.locator("h1").inner_text()
    page.goto(f"{service.base}/jobs/2/overrule")
    form = page.get_by_role("group", name="A verdict is wrong")
    form.get_by_label("Revision").fill(project.commits[f"calculator: step {CULPRIT - 2}"][:12])
    form.get_by_label("can't be told").check()
    form.get_by_label("Why").fill("x")
    form.get_by_label("Go on").uncheck()
    form.get_by_role("button", name="Say so").click()
    page.wait_for_url("**/jobs/2")
    assert "ignore (x)" in page.locator("main").inner_text()
    context.close()


def test_the_server_ends_in_order_while_somebody_looks(browser, tmp_path):
    with serving(tmp_path / "home", "--no-worker") as found:
        page = browser.new_page()
        page.goto(f"{found.base}/")
        page.wait_for_timeout(500)
        found.process.terminate()
        assert found.process.wait(20) == 0
        page.close()


@pytest.mark.kernel
def test_the_demo_at_one_click(browser, place):
    """A real kernel's bisection, begun in the page and watched there to its end."""
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("qemu-system-x86_64 is not installed; `firstbad doctor` says what is missing")
    with serving(place.root) as found:
        page = browser.new_page()
        watched = Watched(found.base)
        watched.watch(page)
        page.goto(f"{found.base}/submit")
        page.get_by_role("button", name="Run the demo").click()
        page.wait_for_url("**/jobs/*", timeout=300_000)
        page.evaluate("window.neverLoadedAgain = true")
        page.locator(".badge.running").wait_for(timeout=60_000)
        page.locator("#now strong").wait_for(timeout=60_000)
        page.locator(".badge.finished").wait_for(timeout=1_800_000)
        assert page.evaluate("window.neverLoadedAgain")
        answer = page.get_by_label("Answer").inner_text()
        page.close()
        watched.check()
    from firstbad.demo import make_demo

    culprit = make_demo(place.root / "demo", 1).cases["a"].culprit
    assert culprit[:12] in answer
    assert subprocess.run(["git", "-C", str(make_demo(place.root / "demo", 1).repo), "cat-file", "-e", culprit],
                          check=False).returncode == 0  # fmt: skip
