"""Pages: what they show, and that hostile text stays text."""

import pytest
from fastapi.testclient import TestClient

from firstbad.home import Home
from firstbad.job import Job
from firstbad.store import Store
from firstbad.web import make_app

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def client(tmp_path):
    place = Home(tmp_path, 1 << 30)
    store = Store(place.database)
    number = store.submit(Job(repo=tmp_path, config=tmp_path / "c", repro=tmp_path / "r", title=EVIL))
    store.append(number, "started", {"start": "a" * 40, "head": "", "kind": "cause"})
    store.append(number, "test", {"commit": "a" * 40, "phase": "initial", "title": EVIL})
    return TestClient(make_app(place), base_url="http://localhost")


def test_list_and_job(client):
    page = client.get("/")
    assert page.status_code == 200
    assert "interrupted" in page.text
    assert EVIL not in page.text
    page = client.get("/jobs/1")
    assert "under way" in page.text
    assert EVIL not in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert client.get("/jobs/1/log.txt").text.startswith("bisecting cause commit starting from " + "a" * 40)


def test_no_such_job(client):
    assert client.get("/jobs/9").status_code == 404
    assert client.get("/jobs/x").status_code == 422


def test_no_jobs(tmp_path):
    assert "No jobs yet" in TestClient(make_app(Home(tmp_path, 1)), base_url="http://localhost").get("/").text


def test_headers_that_keep_a_browser_from_running_what_others_wrote(client):
    headers = client.get("/").headers
    assert "script-src localhost/static/;" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    cookie = headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Set-Cookie" not in client.get("/").headers
    assert client.get("/static/site.css").status_code == 200


def test_without_tokens_other_names_for_this_machine_are_refused(client):
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 403
    for host in ("127.0.0.1:8384", "[::1]:8384", "LOCALHOST"):
        assert client.get("/", headers={"Host": host}).status_code == 200
