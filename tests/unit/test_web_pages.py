"""A finished job's pages: what they show, what their forms do, and that what others wrote stays text."""

import re

import pytest
from tests.support.stories import finished_job
from tests.support.web import csrf, local_client, post

from firstbad.store.listing import Filter

EVIL = '<script>alert("x")</script>'


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    lab = {"stranger_rate": 0.3, "crash_rate": 0.8}
    made = finished_job(tmp_path_factory.mktemp("pages"), culprit_title=f"net: {EVIL}", lab=lab, name="seen at night")
    consoles = made.place.job(made.number) / "consoles"
    consoles.mkdir(parents=True, exist_ok=True)
    commit = made.history.commits["c23"]
    (consoles / f"{commit[:12]}-000.txt").write_text(f"[ 0.0] Linux {EVIL}\x1b[31m\n")
    return made


@pytest.fixture(scope="module")
def client(done):
    return local_client(done.place)


@pytest.fixture
def fresh(tmp_path):
    made = finished_job(tmp_path)
    return made, local_client(made.place)


def test_the_job_page_tells_the_answer_and_what_it_rests_on(client, done):
    page = client.get("/jobs/1").text
    for words in ("First bad commit", "Where the culprit may be", "The commit", "Confirmation", "Evidence", "The path",
                  "BUG: unable to handle kernel NULL", "seen at night", "v6.1"):  # fmt: skip
        assert words in page, words
    assert "<script>alert" not in page
    assert f"net: {EVIL[:1].replace('<', '&lt;')}" in page
    assert 'sse-connect="/jobs/1/stream?seen=' in page
    assert 'style="' not in page, "no policy lets it through"


def test_the_fragment_is_the_page(client):
    page, fragment = client.get("/jobs/1").text, client.get("/jobs/1/live").text
    assert "<html" not in fragment
    assert re.sub(r"\s+", " ", fragment).strip() in re.sub(r"\s+", " ", page)


def test_a_list_is_filtered_and_searched(client):
    def shown(query):
        return "net: &lt;script&gt;" in client.get(f"/?{query}").text

    assert shown("")
    assert shown("state=finished&kind=cause&q=night")
    assert not shown("state=running")
    assert not shown("kind=fix")
    assert not shown("q=no+such+thing")
    assert shown("q=1")
    assert shown("project=default")
    assert not shown("project=other")
    assert client.get("/?before=x").status_code == 422
    assert client.get("/?before=1").status_code == 200


def test_what_happened_is_in_the_list_at_once(fresh):
    made, client = fresh
    assert client.get("/list").text.count('class="badge finished"') == 1
    post(client, "/jobs/1/overrule", {"says": "wrong", "why": "x"})
    assert 'class="badge reopened"' in client.get("/list?kind=cause").text
    made.store.submit(made.store.job(1).job)
    assert client.get("/list").text.count('<td class="nowrap">') == 2
    assert client.get("/").text.count('<td class="nowrap">') == 2


def test_a_long_list_has_pages(tmp_path):
    made = finished_job(tmp_path)
    job = made.store.job(1).job
    for _ in range(60):
        made.store.submit(job)
    client = local_client(made.place)
    first = client.get("/?kind=cause").text
    assert first.count('<td class="nowrap">') == 50
    older = re.search(r'href="([^"]+)" rel="next"', first)[1].replace("&amp;", "&")
    second = client.get(older).text
    assert "kind=cause" in older
    assert second.count('<td class="nowrap">') == 11
    assert 'rel="next"' not in second


def test_runs_and_consoles(client, done):
    commit = done.history.commits["c23"]
    runs = client.get("/jobs/1/runs").text
    assert f'id="r-{commit[:12]}"' in runs
    assert "crashed: BUG: unable" in runs
    name = f"{commit[:12]}-000.txt"
    assert f"/jobs/1/consoles/{name}" in runs
    page = client.get(f"/jobs/1/consoles/{name}")
    assert "Linux &lt;script&gt;" in page.text
    assert "\x1b" not in page.text
    assert client.get(f"/jobs/1/consoles/{name}/text").headers["content-type"].startswith("text/plain")


def test_a_run_that_was_made_for_another_job_says_so(fresh):
    made, client = fresh
    run = next(event.data for event in made.store.events(1) if event.kind == "run")
    made.store.append(1, "run", run | {"reused": {"job": 7, "seq": 3}})
    assert 'made for <a href="/jobs/7">job 7</a>' in client.get("/jobs/1/runs").text


@pytest.mark.parametrize("name", ["..%2f..%2ffirstbad.db", "%2fetc%2fpasswd", "%2e%2e", "lock", "x.txt", "%00"])
def test_no_console_of_another_name(client, name):
    assert client.get(f"/jobs/1/consoles/{name}").status_code == 404
    assert client.get(f"/jobs/1/consoles/{name}/text").status_code == 404


def test_crashes_are_side_by_side_with_the_reason(client):
    page = client.get("/jobs/1/crashes").text
    assert "Another bug" in page
    assert "WARNING in other_thing" in page
    assert "different function" in page
    same = re.search(r'href="(/jobs/1/crashes\?run=\d+)#beside">BUG', page)[1]
    beside = client.get(same).text
    assert "The same bug" in beside
    assert '<span class="alike">' in beside
    assert client.get("/jobs/1/crashes?run=999").status_code == 200


def test_what_was_asked(client, done):
    page = client.get("/jobs/1/input").text
    assert "CONFIG_64BIT=y" in page
    assert "int main(void)" in page
    assert "seen at night" in page


def test_logs(client):
    assert "bisecting cause commit" in client.get("/jobs/1/log").text
    assert client.get("/jobs/1/log.txt").text.startswith("bisecting cause commit")
    assert client.get("/jobs/1/git.log").text.startswith("# firstbad: verdicts")


def test_forms_of_other_sites_change_nothing(client, done):
    assert client.post("/jobs/1/cancel").status_code == 403
    assert client.post("/jobs/1/cancel", data={"csrf": "0" * 64}).status_code == 403
    good = csrf(client, "/jobs/1/overrule")
    headers = {"Origin": "http://evil.example"}
    assert client.post("/jobs/1/cancel", data={"csrf": good}, headers=headers).status_code == 403
    for address in ("/jobs/1/overrule", "/jobs/1/mail", "/audit", "/submit", "/submit/demo"):
        assert client.post(address, data={"says": "wrong", "why": "x", "sender": "a"}).status_code == 403, address
    assert not done.store.job(1).cancelled


def test_a_rejected_culprit_reopens_the_job(fresh):
    made, client = fresh
    assert client.get("/jobs/1/overrule").text.count("<form") == 2
    assert post(client, "/jobs/1/overrule", {"says": "wrong", "why": " "}).status_code == 400
    answer = post(client, "/jobs/1/overrule", {"says": "wrong", "why": EVIL, "on": "true"})
    assert answer.status_code == 303
    stored = made.store.job(1)
    assert stored.standing == "waiting"
    page = client.get("/jobs/1").text
    assert "What people said" in page
    assert "not the culprit (&lt;script&gt;" in page
    assert "<script>alert" not in page
    back = {"says": "wrong", "revision": made.history.commits["c13"], "undo": "true"}
    assert post(client, "/jobs/1/overrule", back).status_code == 303
    assert "took back" in client.get("/jobs/1").text


def test_a_verdict_is_overruled(fresh):
    made, client = fresh
    said = {"says": "bad", "revision": made.history.commits["c12"][:12], "why": "seen by hand"}
    assert post(client, "/jobs/1/overrule", said).status_code == 303
    assert made.store.job(1).standing == "reopened"
    assert "seen by hand" in client.get("/jobs/1").text
    missing = post(client, "/jobs/1/overrule", {**said, "revision": "nothing"})
    assert missing.status_code == 400
    assert "unknown revision" in missing.text


def test_pause_cancel_and_go_on(fresh):
    made, client = fresh
    post(client, "/jobs/1/overrule", {"says": "wrong", "why": "x", "on": "true"})
    for action, standing in (
        ("pause", "paused"),
        ("resume", "waiting"),
        ("cancel", "cancelled"),
        ("resume", "waiting"),
    ):
        assert post(client, "/jobs/1", {}, f"/jobs/1/{action}").status_code == 303
        assert made.store.job(1).standing == standing
        assert f'<span class="badge {standing}">' in client.get("/jobs/1").text
    assert post(client, "/jobs/1", {}, "/jobs/1/explode").status_code == 422


def test_the_mail_is_shown_and_not_sent_without_a_word(client, done):
    page = client.get("/jobs/1/mail").text
    assert "Subject: " in page
    assert "<script>alert" not in page
    draft = client.get("/jobs/1/mail.eml")
    assert draft.headers["content-type"] == "message/rfc822"
    assert post(client, "/jobs/1/mail", {"sender": "Jo <jo@example.org>"}).status_code == 400
    held = post(client, "/jobs/1/mail", {"sender": "Jo <jo@example.org>", "sure": "true"})
    assert held.status_code == 409
    assert "mail.toml" in held.text
    assert not done.store.events_of_kind("mail")


def test_a_log_is_audited(client):
    log = client.get("/jobs/1/log.txt").text
    answer = post(client, "/audit", {"text": log})
    assert answer.status_code == 200
    assert "that" in answer.text
    assert "is the culprit" in answer.text
    file = {"file": ("<b>x</b>.txt", log.encode(), "text/plain")}
    assert "&lt;b&gt;x&lt;/b&gt;.txt" in post(client, "/audit", {}, files=file).text
    wrong = post(client, "/audit", {"text": "hello " + EVIL})
    assert wrong.status_code == 400
    assert "no bisection log" in wrong.text
    assert "<script>alert" not in wrong.text


def test_system(client, done):
    page = client.get("/system").text
    assert "No worker has told of itself" in page
    assert "finished" in page
    assert "GiB" in page


def test_a_private_job_is_seen_by_its_project_alone(tmp_path):
    from firstbad.store.access import Access

    made = finished_job(tmp_path, private=True)
    client = local_client(made.place)
    access = Access(made.store.database)
    access.create_project("others")
    own, _ = access.create_token("own", "submit", "default", None)
    other, _ = access.create_token("other", "admin", "others", None)
    job_pages = ("", "/live", "/runs", "/crashes", "/input", "/log", "/log.txt", "/git.log", "/mail", "/overrule",
                 "/history", "/mail.eml")  # fmt: skip
    for address in (f"/jobs/1{page}" for page in job_pages):
        assert client.get(address, headers={"Authorization": f"Bearer {own}"}).status_code == 200, address
        assert client.get(address, headers={"Authorization": f"Bearer {other}"}).status_code == 404, address
        assert client.get(address).status_code == 401, address
    with_other = {"Authorization": f"Bearer {other}"}
    assert client.get("/jobs/1/stream", headers=with_other).status_code == 404
    listed = client.get("/", headers=with_other).text
    assert "c13" not in listed
    assert ">finished</a> 1" not in listed
    assert "c13" in client.get("/", headers={"Authorization": f"Bearer {own}"}).text
    assert made.store.page(Filter(projects=["others"])).jobs == []
