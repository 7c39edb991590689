"""Who may what: every route, for who has no token, too small a scope, another project's job, and the right one."""

import re
import time

import pytest
import sqlalchemy as sa
from tests.support.service import OURS, SECRET, THEIRS, make_service, routes_of

from firstbad.errors import NotFoundError, UserError
from firstbad.store.access import Access
from firstbad.store.service import tokens as token_table
from firstbad.store.watch import total
from firstbad.web.auth import Viewer

OPEN = {("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/login"), ("POST", "/login"), ("MOUNT", "/static")}
READ_JOB = [
    "",
    "/live",
    "/history",
    "/log",
    "/log.txt",
    "/git.log",
    "/runs",
    "/crashes",
    "/overrule",
    "/mail",
    "/mail.eml",
    "/input",
]
# What a route needs: scope, whether it is about a job (or a webhook of a project), and how it is asked.
ROWS = {
    ("GET", "/"): ("read", "", {}),
    ("GET", "/list"): ("read", "", {}),
    ("GET", "/stream"): ("read", "", {"stream": True}),
    ("GET", "/system"): ("read", "", {}),
    ("GET", "/audit"): ("read", "", {}),
    ("POST", "/audit"): ("submit", "", {"data": {"text": "bisecting cause commit starting from " + "a" * 40}}),
    ("POST", "/logout"): ("read", "", {}),
    ("GET", "/submit"): ("submit", "", {}),
    ("POST", "/submit"): ("submit", "project", {"data": {"as": "kernel", "repo": "linux", "project": "PROJECT"}}),
    # At the machine itself only, and before tokens are made.
    ("GET", "/submit/demo"): ("local", "", {}),
    ("POST", "/submit/demo"): ("local", "", {}),
    ("GET", "/metrics"): ("admin", "all", {}),
    **{("GET", "/jobs/{number}" + part): ("read", "job", {}) for part in READ_JOB},
    ("GET", "/jobs/{number}/stream"): ("read", "job", {"stream": True}),
    ("GET", "/jobs/{number}/consoles/{name}"): ("read", "job", {}),
    ("GET", "/jobs/{number}/consoles/{name}/text"): ("read", "job", {}),
    ("POST", "/jobs/{number}/overrule"): ("submit", "own", {"data": {"says": "wrong", "why": "seen otherwise"}}),
    ("POST", "/jobs/{number}/mail"): ("admin", "own", {"data": {"sender": "A <a@example.org>"}}),
    ("POST", "/jobs/{number}/settle"): ("admin", "own", {"data": {"fate": "sent"}}),
    ("POST", "/jobs/{number}/{action}"): ("submit", "own", {"action": "pause"}),
    ("GET", "/api/v1/openapi.json"): ("open", "", {}),
    ("GET", "/api/v1/me"): ("read", "", {}),
    ("GET", "/api/v1/repositories"): ("read", "", {}),
    ("GET", "/api/v1/webhooks"): ("admin", "", {}),
    ("POST", "/api/v1/webhooks"): ("admin", "project", {"json": {"url": "http://192.0.2.1/", "project": "PROJECT"}}),
    ("DELETE", "/api/v1/webhooks/{number}"): ("admin", "hook", {}),
    ("GET", "/api/v1/webhooks/{number}/deliveries"): ("admin", "hook", {}),
    ("POST", "/api/v1/jobs"): ("submit", "project", {"json": {"repo": "linux"}}),
    ("POST", "/api/v1/files"): ("submit", "project", {"content": b"x"}),
    ("GET", "/api/v1/files/{digest}"): ("read", "project", {}),
    ("GET", "/api/v1/jobs"): ("read", "", {}),
    **{
        ("GET", "/api/v1/jobs/{number}" + part): ("read", "job", {})
        for part in ("", "/log", "/events", "/stream", "/candidates", "/evidence", "/artifacts")
    },
    ("GET", "/api/v1/jobs/{number}/artifacts/{name:path}"): ("read", "job", {}),
    ("POST", "/api/v1/jobs/{number}/cancel"): ("submit", "own", {}),
    ("POST", "/api/v1/jobs/{number}/pause"): ("submit", "own", {}),
    ("POST", "/api/v1/jobs/{number}/resume"): ("submit", "own", {}),
    ("POST", "/api/v1/jobs/{number}/opinions"): ("submit", "own", {"json": {"says": "wrong", "why": "it is not"}}),
}
LOWER = {"read": "", "submit": "read", "admin": "submit"}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    made = make_service(tmp_path_factory.mktemp("service"))
    consoles = [made.done.place.job(number) / "consoles" for number in (OURS, THEIRS, SECRET)]
    for directory in consoles:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "abcdef012345-000.txt").write_text("[    0.000000] Linux version\n")
    return made


def test_every_route_has_a_row(service):
    assert set(routes_of(service.app)) == set(ROWS) | OPEN


def ask(service, who, key, number=OURS, project="net"):
    method, path = key
    more = dict(ROWS[key][2])
    wanted = path.replace("{number}", str(number)).replace("{name:path}", "config")
    wanted = wanted.replace("{name}", "abcdef012345-000.txt").replace("{digest}", "0" * 64)
    wanted = wanted.replace("{action}", more.pop("action", ""))
    body = next((name for name in ("json", "data") if "project" in more.get(name, ())), "")
    if body:
        more[body] = more[body] | {"project": project}
    elif ROWS[key][1] == "project":
        wanted += f"?project={project}"
    if more.pop("stream", False) or path == "/api/v1/jobs/{number}/stream":
        return status_of_stream(service, who, method, wanted)
    return service.client(who).request(method, wanted, **more).status_code


def status_of_stream(service, who, method, path):
    """A stream that is allowed does not end: that it begins is what is asked."""
    reached = []
    hub = service.app.state.site.hub
    hub.stopping = True
    try:
        with service.client(who).stream(method, path) as answer:
            reached.append(answer.status_code)
    finally:
        hub.stopping = False
    return reached[0]


@pytest.mark.parametrize("key", sorted(ROWS))
def test_no_token(service, key):
    scope = ROWS[key][0]
    assert ask(service, "", key) == (200 if scope == "open" else 401)


@pytest.mark.parametrize("key", sorted(key for key, row in ROWS.items() if LOWER.get(row[0])))
def test_too_small_a_scope(service, key):
    scope, about, _ = ROWS[key]
    assert ask(service, f"{'*' if about == 'all' else 'net'}/{LOWER[scope]}", key) == 403


@pytest.mark.parametrize("key", sorted(key for key, row in ROWS.items() if row[1]))
def test_another_projects(service, key):
    scope, about, _ = ROWS[key]
    who = f"net/{scope}"
    if about == "job":
        assert ask(service, who, key, SECRET) == 404
        assert ask(service, who, key, THEIRS) < 400 or key[1].startswith(("/jobs/{number}/mail",))
    elif about == "own":
        assert ask(service, who, key, SECRET) == 404
        assert ask(service, who, key, THEIRS) == 403
    elif about == "hook":
        theirs = service.app.state.site.hooks.create("mm", "http://192.0.2.1/", "somebody").id
        assert ask(service, who, key, theirs) == 404
    elif about == "all":
        assert ask(service, who, key) == 403
    else:
        assert ask(service, who, key, project="mm") in (400, 403, 404)


@pytest.mark.parametrize("key", sorted(key for key in ROWS if key != ("POST", "/logout")))
def test_the_right_token(service, key):
    scope, about, _ = ROWS[key]
    if scope == "open":
        return
    if scope == "local":
        assert ask(service, "*/admin", key) == 403
        return
    number = OURS
    if about == "hook":
        number = service.app.state.site.hooks.create("net", "http://192.0.2.1/", "somebody").id
    # 400, 404 and 422: let in, and then the request (without a body that makes sense) is looked at.
    expected = {
        ("POST", "/api/v1/jobs"): 400,
        ("POST", "/submit"): 400,
        ("POST", "/api/v1/webhooks"): 400,
        ("GET", "/api/v1/files/{digest}"): 404,
        ("POST", "/jobs/{number}/mail"): 400,
    }.get(key)
    found = ask(service, f"{'*' if about == 'all' else 'net'}/{scope}", key, number)
    assert found == expected if expected else found < 400, (key, found)


def test_private_jobs_are_in_no_list_count_or_search(service):
    ours, theirs = service.client("net/admin"), service.client("mm/read")
    for place in ("/api/v1/jobs", "/api/v1/jobs?text=c13", f"/api/v1/jobs?text={SECRET}", "/api/v1/jobs?project=mm"):
        assert SECRET not in [one["job"] for one in ours.get(place).json()["jobs"]]
    assert SECRET in [one["job"] for one in theirs.get("/api/v1/jobs").json()["jobs"]]
    for place in ("/", "/?project=mm", "/system"):
        assert f"/jobs/{SECRET}" not in ours.get(place).text
    known, none = ours.get(f"/api/v1/jobs/{SECRET}"), ours.get("/api/v1/jobs/99999")
    assert known.json()["error"].replace(str(SECRET), "N") == none.json()["error"].replace("99999", "N")


def test_the_lists_stream_tells_nothing_of_others_private_jobs(service):
    store = service.store
    ours, theirs = total(store, ["net"]), total(store, ["mm"])
    store.append(SECRET, "told", {})
    assert total(store, ["net"]) == ours
    assert total(store, ["mm"]) == theirs + 1
    store.append(THEIRS, "told", {})
    assert total(store, ["net"]) == ours + 1


def test_a_test_may_not_take_over_what_others_private_job_learned(service):
    config = service.client("net/submit").post("/api/v1/files?name=config", content=b"CONFIG_X=y").json()["file"]
    repro = service.client("net/submit").post("/api/v1/files?name=a.c", content=b"int main;").json()["file"]
    job = {"kind": "test", "repo": "linux", "config": config, "repro": repro, "test": {"reference": SECRET}}
    answer = service.client("net/submit").post("/api/v1/jobs", json=job)
    assert (answer.status_code, answer.json()["error"]) == (404, f"there is no job {SECRET}")


def test_uploads_of_other_projects_can_not_be_named(service):
    name = service.client("mm/submit").post("/api/v1/files?name=config", content=b"embargoed").json()["file"]
    digest = re.search("[0-9a-f]{64}", name)[0]
    assert service.client("mm/read").get(f"/api/v1/files/{digest}").status_code == 200
    assert service.client("net/admin").get(f"/api/v1/files/{digest}").status_code == 404
    answer = service.client("net/admin").post("/api/v1/jobs", json={"repo": "linux", "config": name, "repro": name})
    assert answer.status_code == 404


def test_tokens_are_kept_as_hashes_and_end(service):
    access = Access(service.store.database)
    text, made = access.create_token("short", "read", "net", days=1)
    rows = service.store.database.read(lambda connection: connection.execute(sa.select(token_table)).all())
    assert text not in str(rows)
    assert access.token(text).id == made.id
    service.tokens["short"] = text
    client, _ = service.browser("short")
    assert client.get("/").status_code == 200
    access.revoke(made.id)
    assert access.token(text) is None
    assert service.client("short").get("/api/v1/me").status_code == 401
    assert client.get("/").status_code == 401

    text, made = access.create_token("old", "read", "net", days=1)
    past = sa.update(token_table).where(token_table.c.id == made.id).values(expires=time.time() - 1)
    service.store.database.write(lambda connection, _: connection.execute(past))
    assert access.token(text) is None


def test_names_that_tokens_and_projects_can_not_have(service):
    access = Access(service.store.database)
    for name in ("../x", "", "a b", "x" * 65, "-x", "*"):
        with pytest.raises(UserError):
            access.create_project(name)
    with pytest.raises(NotFoundError, match="project create nowhere"):
        access.create_token("x", "read", "nowhere", None)
    with pytest.raises(UserError):
        access.create_token("a\nb", "read", "net", None)


def test_wrong_tokens(service):
    for header in ("Bearer", "Bearer ", "Bearer fb_x", "Basic Zm9vOmJhcg==", "Bearer " + "é" * 10):
        answer = service.client().get("/api/v1/me", headers={"Authorization": header.encode("latin-1")})
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_browser_without_a_session_is_led_to_the_login_and_back(service):
    answer = service.client().get("/jobs/1", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?to=/jobs/1")
    for place in ("//evil.example/", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/\nx"):
        page = service.client().get("/login", params={"to": place}).text
        assert 'name="to" value="/"' in page


def test_csrf_every_form(service):
    """With the cookie of somebody who may do everything, and no or a wrong csrf field: nothing is done."""
    client, csrf = service.browser("*/admin")
    posts = [path for method, path in routes_of(service.app) if method == "POST" and not path.startswith("/api/")]
    before = len(service.store.events(OURS))
    for path in posts:
        place = path.replace("{number}", str(OURS)).replace("{action}", "cancel")
        data = {"says": "good", "revision": "HEAD", "why": "x", "sender": "A <a@example.org>", "fate": "sent"}
        for wrong in ({}, {"csrf": "0" * 64}, {"csrf": "é"}):
            answer = client.post(place, data=data | wrong)
            assert answer.status_code == 403, (place, wrong, answer.text)
    for origin in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        assert client.post(f"/jobs/{OURS}/cancel", data={"csrf": csrf}, headers=origin).status_code == 403
        assert client.post(f"/api/v1/jobs/{OURS}/cancel", headers=origin).status_code == 403
    assert len(service.store.events(OURS)) == before
    assert not service.store.job(OURS).cancelled
    own = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert client.post(f"/jobs/{OURS}/pause", data={"csrf": csrf}, headers=own).status_code == 303
    assert client.post("/logout", data={"csrf": csrf}).status_code == 303
    client.cookies.set("firstbad", "x" * 43)
    assert client.get("/").status_code == 401


def test_metrics_name_no_project_and_are_not_for_everybody(service):
    assert service.client().get("/metrics").status_code == 401
    assert service.client("net/admin").get("/metrics").status_code == 403
    text = service.client("*/admin").get("/metrics").text
    assert 'firstbad_jobs{standing="finished"}' in text
    assert "mm" not in re.findall(r'"([^"]*)"', text)


def test_a_viewer_of_one_project():
    viewer = Viewer("x", "submit", frozenset({"net"}))
    assert viewer.may("read")
    assert not viewer.may("admin")
    assert viewer.sees("mm", private=False)
    assert not viewer.sees("mm", private=True)
    assert not Viewer("x", "admin", frozenset({"net"})).may_all("admin")
