"""Submitting in each form, what a job names on its way to another machine, events by list and by stream."""

import hashlib
import http.server
import json
import threading
from functools import partial

import pytest
from tests.support.histories import History
from tests.support.service import OURS, make_service

from firstbad.errors import InfrastructureError, NotFoundError, UserError
from firstbad.history.git import Repo
from firstbad.home import Home
from firstbad.session.materials import provide, provide_repository
from firstbad.store import Store
from firstbad.store.access import Access, Repository
from firstbad.store.files import Files
from firstbad.store.hooks import Hooks

CONFIG, REPRO = b"CONFIG_64BIT=y\n", b"int main(void) { return 0; }\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    return make_service(tmp_path_factory.mktemp("jobs"))


@pytest.fixture
def client(service):
    return service.client("net/submit")


def upload(client, name, data):
    answer = client.post(f"/api/v1/files?name={name}", content=data)
    assert answer.status_code == 201, answer.text
    return answer.json()["file"]


def a_job(client, service, **more):
    ends = {"commit": service.done.history.commits["c23"], "good": [service.done.history.commits["c0"]]}
    files = {"config": upload(client, ".config", CONFIG), "repro": upload(client, "crash.c", REPRO)}
    return {"repo": "linux", **files, **ends, **more}


def test_as_json(service, client):
    job = a_job(client, service, title="BUG: as json")
    made = client.post("/api/v1/jobs", json=job)
    assert (made.status_code, made.json()["new"]) == (201, True)
    found = client.get(f"/api/v1/jobs/{made.json()['job']}").json()
    assert (found["project"], found["submitted_by"], found["standing"]) == ("net", "net submit", "waiting")
    # What it names is named as it was, wherever this machine keeps it.
    assert found["request"]["repo"] == "repository:linux"
    assert found["request"]["config"] == job["config"]
    assert found["request"]["repro"].endswith("/crash.c")
    assert str(service.done.place.root) not in json.dumps(found)


def test_the_same_key_is_the_same_job_and_so_is_the_same_crash(service, client):
    job = a_job(client, service, title="BUG: keys")
    one = client.post("/api/v1/jobs", json=job, headers={"Idempotency-Key": "a"}).json()
    again = client.post("/api/v1/jobs", json=job, headers={"Idempotency-Key": "a"})
    assert (again.status_code, again.json()) == (200, {"job": one["job"], "new": False, "why": "key"})
    theirs = service.client("mm/submit")
    other = theirs.post("/api/v1/jobs", json=a_job(theirs, service), headers={"Idempotency-Key": "a"}).json()
    assert other["job"] != one["job"]
    assert client.post("/api/v1/jobs?deduplicate=true", json=job).json()["why"] == "crash"
    assert client.post("/api/v1/jobs", json=job).json()["new"]


def test_as_a_job_file_and_as_a_form(service, client):
    commits = service.done.history.commits
    text = (
        f'repo = "linux"\ncommit = "{commits["c23"]}"\nconfig = "my config"\nrepro = "crash.c"\ntitle = "BUG: form"\n'
    )
    files = {"job": ("job.toml", text), "my config": (".config", CONFIG), "crash.c": ("crash.c", REPRO)}
    made = client.post("/api/v1/jobs", files=files)
    assert made.status_code == 201, made.text
    request = client.get(f"/api/v1/jobs/{made.json()['job']}").json()["request"]
    assert request["config"] == f"sha256:{hashlib.sha256(CONFIG).hexdigest()}/.config"
    named = text.replace("my config", request["config"]).replace('"crash.c"', f'"{request["repro"]}"')
    again = client.post("/api/v1/jobs", content=named.encode(), headers={"Content-Type": "application/toml"})
    assert client.get(f"/api/v1/jobs/{again.json()['job']}").json()["request"] == request
    missing = client.post("/api/v1/jobs", files={"job": ("job.toml", text)})
    assert (missing.status_code, "config" in missing.json()["error"]) == (400, True)
    unread = client.post("/api/v1/jobs", content=b"x", headers={"Content-Type": "text/plain"})
    assert unread.status_code == 415


def test_events_by_list_and_by_stream(service, client):
    everything = client.get(f"/api/v1/jobs/{OURS}/events").json()["events"]
    assert [one["seq"] for one in everything] == list(range(len(everything)))
    part = client.get(f"/api/v1/jobs/{OURS}/events?after=4&limit=3").json()["events"]
    assert [one["seq"] for one in part] == [5, 6, 7]

    def streamed(path, **headers):
        with client.stream("GET", path, headers=headers) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            return [
                line.removeprefix("id: ") for line in answer.iter_lines() if line.startswith(("id: ", "event: end"))
            ]

    path = f"/api/v1/jobs/{OURS}/stream"
    assert streamed(path) == [*map(str, range(len(everything))), "event: end"]
    after = len(everything) - 3
    assert streamed(path, **{"Last-Event-ID": str(after)}) == [str(after + 1), str(after + 2), "event: end"]
    assert streamed(f"{path}?after={after}") == [str(after + 1), str(after + 2), "event: end"]
    assert streamed(path, **{"Last-Event-ID": "nonsense"})[0] == "0"


def test_what_people_ask_for(service, client):
    number = client.post("/api/v1/jobs", json=a_job(client, service)).json()["job"]
    assert client.post(f"/api/v1/jobs/{number}/pause").json()["standing"] == "paused"
    assert client.post(f"/api/v1/jobs/{number}/resume").json()["standing"] == "waiting"
    assert client.post(f"/api/v1/jobs/{number}/cancel").json()["standing"] == "cancelled"
    wrong = client.post(f"/api/v1/jobs/{number}/opinions", json={"says": "wrong", "why": "x"})
    assert (wrong.status_code, "names no culprit" in wrong.json()["error"]) == (400, True)
    said = client.post(f"/api/v1/jobs/{OURS}/opinions", json={"says": "wrong", "why": "reverted it: it stays"})
    assert (said.status_code, said.json()["commit"]) == (201, service.done.history.commits["c13"])
    assert client.get(f"/api/v1/jobs/{OURS}").json()["standing"] == "reopened"
    assert client.post(f"/api/v1/jobs/{OURS}/opinions", json={"says": "wrong", "undo": True}).status_code == 201


def test_a_job_finds_its_files_and_its_repository_on_another_machine(service, client, tmp_path):
    """The other machine shares the database alone."""
    number = client.post("/api/v1/jobs", json=a_job(client, service)).json()["job"]
    elsewhere = Home(tmp_path / "elsewhere", 1 << 30)
    store = Store(service.done.place.database, root=elsewhere.root)
    stored = store.job(number)
    assert not stored.job.config.exists()
    provide(store, elsewhere, stored)
    assert (stored.job.config.read_bytes(), stored.job.repro.read_bytes()) == (CONFIG, REPRO)
    assert stored.job.repro.name == "crash.c"
    assert stored.job.repo.is_relative_to(elsewhere.root)
    assert stored.job.repo.resolve() == service.done.history.path.resolve()
    assert stored.job.config.stat().st_mode & 0o077 == 0
    provide(store, elsewhere, stored)  # again: nothing to do


def test_an_upload_that_was_changed_in_the_database_is_not_used(service, client, tmp_path):
    import sqlalchemy as sa

    from firstbad.store.service import files

    number = client.post("/api/v1/jobs", json=a_job(client, service, config=upload(client, "c", b"X=1\n"))).json()[
        "job"
    ]
    elsewhere = Home(tmp_path, 1 << 30)
    store = Store(service.done.place.database, root=elsewhere.root)
    same = files.c.digest == hashlib.sha256(b"X=1\n").hexdigest()
    store.database.write(lambda c, _: c.execute(sa.update(files).where(same).values(data=b"X=2\n")))
    with pytest.raises(InfrastructureError, match="damaged"):
        provide(store, elsewhere, store.job(number))


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_a_repository_by_its_url(service, tmp_path, monkeypatch):
    """A mirror over real HTTP, brought up to date; no address inside unless the administrator allows it."""
    history = service.done.history
    history.git("update-server-info")
    handler = partial(Quiet, directory=str(history.path / ".git"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    known = Repository("mirror", f"http://127.0.0.1:{server.server_port}/", False)
    place = Home(tmp_path, 1 << 30)
    try:
        with pytest.raises(UserError, match="not on the public internet"):
            provide_repository(place, known)
        monkeypatch.setenv("FIRSTBAD_ALLOW_NETWORKS", "127.0.0.0/8")
        path = provide_repository(place, known)
        assert (path / "HEAD").exists()
        head = history.git("rev-parse", "HEAD")
        assert head in (path / "packed-refs").read_text()
        new = history.commit("c24")
        history.git("update-server-info")
        provide_repository(place, known, refresh=True)
        assert Repo(path).resolve(new) == new
        gone = Repository("gone", f"http://127.0.0.1:{server.server_port}/nowhere", False)
        with pytest.raises(InfrastructureError, match="gone: git can't get it"):
            provide_repository(place, gone)
        assert not (place.root / "repositories" / "gone").exists()
    finally:
        server.shutdown()
        server.server_close()


def test_a_mirror_has_branches_and_tags_alone(service, tmp_path, monkeypatch):
    """Anybody may put a commit on a pull request, which many hosts keep beside the branches; nothing of it is built."""
    source = History(tmp_path / "source")
    source.commit("ours")
    theirs = source.commit("theirs", parents=[])
    source.git("update-ref", "refs/pull/1/head", theirs)
    source.git("update-ref", "refs/heads/master", source.commits["ours"])
    source.git("reflog", "expire", "--expire=now", "--all")
    source.tag("v1.0", "ours")
    source.git("update-server-info")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(source.path / ".git")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    known = Repository("mirror", f"http://127.0.0.1:{server.server_port}/", False)
    monkeypatch.setenv("FIRSTBAD_ALLOW_NETWORKS", "127.0.0.0/8")
    try:
        for refresh in (False, True):
            path = provide_repository(Home(tmp_path / "home", 1 << 30), known, refresh=refresh)
            mirror = Repo(path)
            assert mirror.resolve("v1.0") == mirror.resolve("master") == source.commits["ours"]
            for name in ("refs/pull/1/head", theirs):
                with pytest.raises(NotFoundError):
                    mirror.resolve(name)
    finally:
        server.shutdown()
        server.server_close()


def test_a_repository_whose_place_is_another_one_now(service, tmp_path):
    place = Home(tmp_path / "home", 1 << 30)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        assert provide_repository(place, Repository("r", str(tmp_path / name), False)).resolve() == tmp_path / name
    with pytest.raises(NotFoundError, match="is not on this machine"):
        provide_repository(place, Repository("r", str(tmp_path / "three"), False))


def test_on_postgresql(tmp_path):
    """What the service keeps of its own, on the other database."""
    from tests.support.postgres import Postgres

    cluster = Postgres()
    try:
        store = Store(cluster.new_database("access"), root=tmp_path)
        access, files, hooks = Access(store.database), Files(store.database), Hooks(store.database)
        assert access.is_open()
        access.create_project("net")
        text, made = access.create_token("ä", "submit", "net", days=1)
        assert access.token(text).id == made.id
        session = access.begin_session(made, 60)
        assert access.session(session).id == made.id
        access.revoke(made.id)
        assert access.session(session) is None
        access.add_repository("linux", "/a", False)
        access.add_repository("linux", "/b", True)
        assert access.repositories() == [Repository("linux", "/b", True)]
        digest = files.put("net", b"\0\xff data")
        assert files.put("net", b"\0\xff data") == digest
        assert files.get("net", digest) == b"\0\xff data"
        with pytest.raises(NotFoundError):
            files.get("mm", digest)
        from firstbad.job import Job
        from firstbad.store import Queue

        number = (
            Queue(store).submit(Job(repo=tmp_path, config=tmp_path / "c", repro=tmp_path / "r"), project="net").number
        )
        files.use(number, "net", [digest])
        assert files.project_of(number, digest) == "net"
        hook = hooks.create("net", "https://example.org/", "me")
        store.append(number, "failed", {"error": "x", "status": "untestable"})
        due = hooks.claim()
        assert (due.job_id, due.kind) == (number, "failed")
        assert hooks.claim() is None
        hooks.done(due, "answered 500")
        (one,) = hooks.deliveries(hook.id)
        assert (one.attempts, one.error, one.next > 0) == (1, "answered 500", True)
        hooks.remove(hook.id)
        assert hooks.of(None) == []
    finally:
        cluster.close()
