"""What kernels, logs, repositories and users write stays text: on every page that links lead to, in every answer."""

import re

import pytest
from tests.support.service import OURS, Page, make_service, routes_of

from firstbad.store.owner import owner
from firstbad.store.tables import workers

EVIL = "\"'></pre></textarea></title><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}\x1b[31m\x9b2J\x07\x00"
_STRUCTURE = re.compile(r"[0-9a-f]{7,64}|")
# Fields that hold one of a few words; whoever can change those can write to the database.
_WORDS = {"phase", "outcome", "verdict", "kind", "status", "ended", "says", "type", "acceleration", "state", "group"}
_WORDS |= {"uid", "date", "shares", "bits", "columns", "faces", "release", "shades"}


def worsen(key, text):
    return text if _STRUCTURE.fullmatch(text) or key in _WORDS else text + EVIL


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    made = make_service(tmp_path_factory.mktemp("hostile"), worsen)
    store, job = made.store, made.store.job(OURS).job
    evil = EVIL.replace("\0", "")
    worse = job.model_copy(update={"name": evil, "title": evil, "commit": evil, "path": [evil], "head": ""})
    number = made.app.state.site.queue.submit(worse, project="net", submitted_by=evil).number
    for event in store.events(OURS):
        store.append(number, event.kind, event.data)
    store.append(
        number, "opinion", {"commit": "a" * 40, "says": "bad", "who": evil, "why": evil, "undo": False, "parents": []}
    )
    store.append(number, "failed", {"error": evil, "status": "untestable"})
    consoles = made.done.place.job(OURS) / "consoles"
    consoles.mkdir(parents=True, exist_ok=True)
    commit = next(event.data["commit"] for event in store.events(OURS) if event.kind == "run")
    (consoles / f"{commit[:12]}-000.txt").write_bytes(EVIL.encode() * 20 + b"\xff\xfe\xc3")
    row = {"owner": owner(), "host": evil, "pid": 1, "started": 1.0, "seen": 4e9, "state": "working", "job_id": number}
    data = {"activity": evil, "since": 1.0, "version": evil, "directory": evil}
    store.database.write(lambda connection, _: connection.execute(workers.insert().values(data=data, **row)))
    return made


def crawl(client, starts):
    """Everything that links lead to from there, each once."""
    base, todo, answers = "http://localhost", list(starts), {}
    while todo:
        place = todo.pop()
        if place in answers or place.endswith("/stream") or "/stream?" in place or len(answers) > 400:
            continue
        answers[place] = answer = client.get(place)
        if answer.headers.get("content-type", "").startswith("text/html"):
            links = {link.removeprefix(base) for link in Page(answer.text).links(base + place)}
            todo += sorted(link for link in links if link not in answers)
    return answers


def check_page(place, answer):
    page = Page(answer.text)
    for tag, attributes in page.elements:
        assert tag != "script" or attributes.get("src", "").startswith("/static/"), (place, attributes)
        assert tag not in ("iframe", "object", "embed", "base", "meta") or "http-equiv" not in attributes, (place, tag)
        for name, value in attributes.items():
            assert not name.startswith("on"), (place, tag, attributes)
            assert name not in ("href", "src", "action") or not re.match(r"\s*(javascript|data|vbscript):", value, re.I)
    assert "49" not in re.findall(r"\{\{7\*7\}\}|>49", answer.text), place


def test_every_page_keeps_text_text(service):
    client = service.client("*/admin")
    answers = crawl(client, ["/", "/login", "/audit", "/system", "/jobs/99", f"/jobs/{OURS}/history"])
    pages = [place for place, answer in answers.items() if answer.headers["content-type"].startswith("text/html")]
    number = max(one.id for one in service.store.jobs())
    assert {f"/jobs/{OURS}", f"/jobs/{number}"} <= {place.split("?")[0] for place in pages}
    seen = 0
    for place, answer in answers.items():
        assert answer.status_code < 500, (place, answer.text)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy, place
        assert "unsafe" not in policy, place
        if place in pages:
            check_page(place, answer)
            seen += "&lt;script&gt;" in answer.text
            assert not re.search("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]", answer.text), place
        elif answer.headers["content-type"].startswith("text/plain") and "/consoles/" not in place:
            # A console as a file is what the machine wrote, byte for byte.
            assert not re.search("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]", answer.text), place
    assert seen >= 5  # the text is there, as text


def test_every_page_has_been_crawled(service):
    """A page that no link leads to would escape the test above."""
    client = service.client("*/admin")
    found = {re.sub(r"/jobs/\d+", "/jobs/{number}", place.split("?")[0]) for place in crawl(client, ["/"])}
    found = {re.sub(r"/consoles/[^/]+", "/consoles/{name}", place) for place in found}
    pages = {path for method, path in routes_of(service.app) if method == "GET" and not path.startswith("/api/")}
    by_hand = {"/login", "/metrics", "/healthz", "/readyz", "/stream", "/jobs/{number}/stream", "/static"}
    by_hand.add("/submit/demo")  # at the machine itself only
    by_hand.add("/jobs/{number}/history")  # of jobs that an older version ran
    assert pages - found - by_hand == set()


def test_json_and_errors_are_what_they_say(service):
    client = service.client("*/admin")
    number = max(one.id for one in service.store.jobs())
    parts = ("", "/events", "/candidates", "/evidence", "/artifacts")
    places = ["/api/v1/jobs", *(f"/api/v1/jobs/{n}{part}" for n in (OURS, number) for part in parts)]
    for place in places:
        answer = client.get(place)
        assert answer.status_code == 200, (place, answer.text)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    evil = client.get("/api/v1/jobs/<script>alert(1)<script>")
    assert evil.status_code == 422
    assert evil.headers["content-type"] == "application/json"
    page = client.get("/jobs/" + "<script>alert(1)<script>")
    assert "<script>alert" not in page.text
    for header in answer.headers.values():
        assert "\n" not in header


def test_streams_can_not_be_forged_by_line_ends(service):
    number = max(one.id for one in service.store.jobs())
    with service.client("*/admin").stream("GET", f"/api/v1/jobs/{number}/stream") as answer:
        names = {line.split(": ")[0] for line in answer.iter_lines() if line}
    assert names <= {"event", "data", "id", ""}


@pytest.mark.parametrize(
    "name",
    [
        "../../firstbad.db",
        "..%2f..%2ffirstbad.db",
        "%2e%2e/%2e%2e/firstbad.db",
        "consoles/../../../firstbad.db",
        "consoles/..%5c..%5cfirstbad.db",
        "/etc/passwd",
        "//etc/passwd",
        "%2fetc%2fpasswd",
        "builds/../../firstbad.db",
        "config%00.txt",
        "consoles/",
        "",
        "link.txt",
        "consoles/link.txt",
    ],
)
def test_no_path_leads_out_of_the_artifacts(service, name):
    consoles = service.done.place.job(OURS) / "consoles"
    (consoles / "link.txt").unlink(missing_ok=True)
    (consoles / "link.txt").symlink_to("/etc/passwd")
    for base in (f"/api/v1/jobs/{OURS}/artifacts/", f"/jobs/{OURS}/consoles/"):
        for end in ("", "/text"):
            answer = service.client("*/admin").get(base + name + end)
            assert "SQLite format" not in answer.text
            assert "root:" not in answer.text
            assert answer.status_code in (200, 307, 404, 405, 422)
            if answer.status_code == 200:  # the list itself
                assert answer.headers["content-type"] == "application/json"


def test_artifacts_are_saved_not_shown(service):
    client = service.client("net/read")
    listed = client.get(f"/api/v1/jobs/{OURS}/artifacts").json()["artifacts"]
    assert {"config", "reproducer", "console"} <= {one["kind"] for one in listed}
    for one in listed:
        answer = client.get(f"/api/v1/jobs/{OURS}/artifacts/{one['name']}")
        assert answer.status_code == 200
        assert len(answer.content) == one["size"]
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.headers["content-type"].split(";")[0] in ("text/plain", "application/octet-stream")


def test_uploads_have_bounds(service):
    client = service.client("net/submit")
    most = service.app.state.site.settings.upload
    assert client.post("/api/v1/files", content=b"x" * most).status_code == 201
    assert client.post("/api/v1/files", content=b"x" * (most + (64 << 10) + 1)).status_code == 413

    def chunks():  # of a length that no header tells
        for _ in range(most // 65536 + 2):
            yield b"x" * 65536

    assert client.post("/api/v1/files", content=chunks()).status_code == 413
    assert client.post("/api/v1/jobs", json={"title": "x" * (2 * most)}).status_code == 413
    deep = b'{"repo":' + b"[" * 100_000
    assert client.post("/api/v1/jobs", content=deep, headers={"Content-Type": "application/json"}).status_code == 400
    many = {f"part{i}": (f"f{i}", b"x") for i in range(100)}
    assert client.post("/api/v1/jobs", files=many).status_code == 400
    files = service.app.state.site.files
    files.limit, before = 3 << 20, files.limit
    try:
        answers = [client.post("/api/v1/files", content=bytes([n]) * most).status_code for n in range(4)]
    finally:
        files.limit = before
    assert answers[-1] == 400
    long = client.post("/audit", data={"text": "x" * (1 << 19)})
    assert long.status_code in (400, 413, 422)


@pytest.mark.parametrize(
    ("job", "status"),
    [
        ({"repo": "/etc"}, 404),
        ({"repo": "../../etc"}, 404),
        ({"repo": "repository:../../etc"}, 404),
        ({"repo": "https://evil.example/x.git"}, 404),
        ({"repo": "--upload-pack=touch /tmp/x"}, 404),
        ({"repo": "linux", "config": "/etc/passwd"}, 400),
        ({"repo": "linux", "config": "sha256:../../etc/passwd"}, 404),
        ({"repo": "linux", "config": "sha256:" + "0" * 64 + "/x"}, 404),
        ({"repo": "linux", "config": "builtin:nothing", "repro": "builtin:nothing", "commit": "--output=/tmp/x"}, 400),
        ({"repo": "linux", "config": "builtin:nothing", "repro": "builtin:nothing", "commit": "no such"}, 400),
        ({"repo": "linux", "config": "builtin:nothing", "machine": {"image": "/etc/passwd"}}, 400),
        ({"repo": "trusted", "config": "builtin:nothing", "machine": {"ssh_key": "builtin:nothing"}}, 400),
        ({"repo": "trusted", "config": "builtin:nothing", "build": {"toolchain_dirs": ["/tmp"]}}, 400),
        ({"repo": "trusted", "project": {"command": ["true"], "directory": "/etc"}}, 400),
        ({"repo": "linux", "project": {"command": ["touch", "/tmp/x"]}}, 400),
        ({"repo": "linux", "config": "builtin:nothing", "kind": "test", "test": {"patch": "--- a"}}, 400),
        ({"repo": "linux", "build": {"fixes": [{"patch": "builtin:nothing"}]}}, 400),
        ({"repo": "linux", "config": "builtin:nothing", "machine": {"backend": "uml", "append": "con1=xterm"}}, 400),
        ({"repo": "linux", "config": "builtin:nothing", "repro": "builtin:nothing", "build": {"arch": "um"}}, 400),
        ({"repo": "linux", "title": "a\0b"}, 400),
        ({"repo": "linux", "unknown": 1}, 400),
        ({"repo": ["linux"]}, 400),
        ([], 400),
    ],
)
def test_jobs_name_nothing_of_the_server(service, job, status):
    answer = service.client("*/admin").post("/api/v1/jobs?project=net", json=job)
    assert (answer.status_code, list(answer.json())) == (status, ["error"]), answer.text
    assert str(service.done.place.root) not in answer.text


def test_half_characters_and_strange_numbers(service):
    client = service.client("net/submit")
    headers = {"Content-Type": "application/json"}
    for body in (b'{"title": "\\ud800", "repo": "linux"}', b'{"target": NaN}', b'{"target": 1e999}', b"\xff\xfe", b""):
        assert client.post("/api/v1/jobs", content=body, headers=headers).status_code == 400
    said = {"says": "good", "revision": "HEAD", "why": "\\ud800"}
    raw = str(said).replace("'", '"').replace("\\\\", "\\").encode()
    answer = client.post(f"/api/v1/jobs/{OURS}/opinions", content=raw, headers=headers)
    assert answer.status_code in (400, 422)
