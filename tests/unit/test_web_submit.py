"""Jobs that are begun in the browser: what the forms say, what is wrong with it, and that a click counts once."""

import re

import pytest
from tests.support.histories import History
from tests.support.web import local_client, post

from firstbad.errors import UserError
from firstbad.home import Home
from firstbad.job import Job
from firstbad.store import Store
from firstbad.store.access import Access
from firstbad.web.job_file import job_file
from firstbad.web.submit_form import from_fields, from_file, name_uploads


@pytest.fixture
def history(tmp_path):
    made = History(tmp_path / "linux")
    for name in ("one", "two", "three"):
        made.commit(name)
    made.tag("v6.1", "one")
    return made


@pytest.fixture
def place(tmp_path):
    return Home(tmp_path / "home", 1 << 30)


@pytest.fixture
def client(place):
    return local_client(place)


@pytest.fixture
def store(place):
    return Store(place.database)


FILES = {"config": (".config", b"CONFIG_64BIT=y\n"), "repro": ("crash.c", b"int main(void) { return 0; }\n")}


def test_a_kernel_job_by_fields_with_uploads(client, history, store):
    fields = {"as": "kernel", "kind": "cause", "repo": str(history.path), "commit": "HEAD", "good": "v6.1",
              "title": "KASAN: x in y", "run_seconds": "12.5", "memory_mb": "256", "private": "true", "hours": "1.5",
              "key": "k"}  # fmt: skip
    answer = post(client, "/submit", fields, files=FILES)
    assert answer.headers["location"] == "/jobs/1", answer.text
    stored = store.job(1)
    job = stored.job
    assert (job.title, job.good, job.machine.run_seconds, job.machine.memory_mb) == (
        "KASAN: x in y",
        ["v6.1"],
        12.5,
        256,
    )
    assert stored.private
    assert stored.standing == "waiting"
    assert stored.submitted_by == "local user"
    assert stored.most_seconds == 5400
    again = post(client, "/submit", fields, files=FILES)
    assert again.headers["location"] == "/jobs/1", "a second click is the same job"
    assert "CONFIG_64BIT" in client.get("/jobs/1/input").text or "can&#39;t be read" in client.get("/jobs/1/input").text


def test_any_project(client, history, store):
    command = "test -e x && ./check 'a b'"
    fields = {
        "as": "project",
        "repo": str(history.path),
        "command": command,
        "good": "v6.1",
        "jobs": "2",
    }
    answer = post(client, "/submit", fields)
    assert answer.status_code == 303, answer.text
    project = store.job(1).job.project
    assert project.command == ["sh", "-c", command]
    assert project.jobs == 2
    assert "test -e x" in client.get("/").text


def test_a_job_file_with_its_files(client, history, store):
    text = f'repo = "{history.path}"\nconfig = "a/kernel.config"\nrepro = "crash.c"\n[machine]\ncpus = 1\n'
    files = [("files", ("kernel.config", b"CONFIG_64BIT=y\n")), ("files", ("crash.c", b"int main;"))]
    answer = post(client, "/submit?as=file", {"as": "file", "job": text}, "/submit", files=files)
    assert answer.status_code == 303, answer.text
    assert store.job(1).job.machine.cpus == 1
    more = [*files, ("files", ("other.txt", b"x"))]
    answer = post(client, "/submit?as=file", {"as": "file", "job": text}, "/submit", files=more)
    assert answer.status_code == 400
    assert "does not name other.txt" in answer.text


def test_what_is_wrong_is_told_beside_the_form(client, history, store):
    fields = {"as": "kernel", "repo": "/nowhere", "title": "<b>kept</b>"}
    answer = post(client, "/submit", fields, files=FILES)
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert "/nowhere" in answer.text
    assert "&lt;b&gt;kept&lt;/b&gt;" in answer.text
    for change, words in (
        ({"repo": str(history.path)}, "configuration: choose a file"),
        ({"repo": str(history.path), "target": "nan"}, "target: &#39;nan&#39; is no number"),
        ({"repo": str(history.path), "target": "often"}, "target: &#39;often&#39; is no number"),
    ):
        wrong = post(client, "/submit", {**fields, **change})
        assert wrong.status_code == 400
        assert words in wrong.text
    wrong = post(client, "/submit", {**fields, "repo": str(history.path), "commit": "no-such"}, files=FILES)
    assert "unknown revision" in wrong.text
    assert store.jobs() == []


def test_who_is_not_at_this_machine_names_no_paths(client, history, store):
    token, _ = Access(store.database).create_token("bot", "submit", "default", None)
    headers = {"Authorization": f"Bearer {token}"}
    fields = {"as": "kernel", "repo": str(history.path), "config_path": "/etc/passwd", "repro_path": "/etc/passwd"}
    answer = client.post("/submit", data=fields, headers=headers)
    assert answer.status_code in (400, 404)
    assert "path on this machine" not in client.get("/submit", headers=headers).text
    assert client.post("/submit/demo", headers=headers).status_code == 403
    read, _ = Access(store.database).create_token("eye", "read", "default", None)
    assert client.get("/submit", headers={"Authorization": f"Bearer {read}"}).status_code == 403
    assert store.jobs() == []


def test_another_job_like_this(client, history, store, tmp_path):
    (tmp_path / "c").write_text("x")
    job = Job(repo=history.path, config=tmp_path / "c", repro=tmp_path / "c", title='a "quoted"\nline', good=["v6.1"])
    store.submit(job)
    page = client.get("/submit?like=1").text
    assert "a \\&#34;quoted\\&#34;\\nline" in page
    assert client.get("/submit?like=2").status_code == 404


def test_a_job_file_asks_the_same(history, tmp_path):
    for more in (
        {"good": ["v6.1", "v6.0"], "private": True, "machine": {"cpus": 3}, "title": 'x \\ "y" é\t'},
        {"build": {"fixes": [{"commit": "abc"}, {"patch": str(tmp_path / "p")}], "arch": "riscv64"}},
        {"bug": {"class": "metric", "metric": "ns", "threshold": 3.5}},
        {"project": {"command": ["sh", "-c", "a"], "jobs": 2}},
    ):
        job = Job(repo=history.path, config=tmp_path / "c", repro=tmp_path / "r", **more)
        again = Job.model_validate(from_file(job_file(job, tmp_path / "home")))
        assert again.model_copy(update={"config": job.config, "repro": job.repro, "reach": job.reach}) == job


def test_fields_and_uploads():
    with pytest.raises(UserError, match="empty"):
        from_file(" ")
    with pytest.raises(UserError, match="not a TOML job file"):
        from_file("x = ")
    assert from_fields({"repo": "r", "head": "x"}) == {"kind": "cause", "repo": "r"}
    assert from_fields({"repo": "r", "kind": "fix", "head": "x"})["head"] == "x"
    assert from_fields({"repo": "r", "bug_class": "hang", "cpus": "2"})["bug"] == {"class": "hang"}
    data = {"config": "dir/.config", "repro": "r.c", "build": {"fixes": [{"patch": "fix.patch"}]}}
    assert name_uploads(data, {".config": "A", "fix.patch": "B", "z": "C"}) == ["z"]
    assert data == {"config": "A", "repro": "r.c", "build": {"fixes": [{"patch": "B"}]}}


def test_the_demo_says_what_is_missing(client, monkeypatch):
    from firstbad.errors import NotFoundError
    from firstbad.web import tryout

    def missing(*_, progress, **__):
        progress("looking")
        raise NotFoundError("no kernel source: apt-get install linux-source-6.12")

    monkeypatch.setattr(tryout, "make_demo", missing)
    assert "Run the demo" in client.get("/submit").text
    assert post(client, "/submit", {}, "/submit/demo").headers["location"] == "/submit/demo"
    for _ in range(200):
        page = client.get("/submit/demo").text
        if not re.search("now", page):
            break
    assert "apt-get install linux-source-6.12" in page


def test_a_project_has_no_mail_and_its_own_words(client, history, store):
    fields = {"as": "project", "repo": str(history.path), "command": "./check a", "good": "v6.1"}
    assert post(client, "/submit", fields).status_code == 303
    page = client.get("/jobs/1").text
    assert "<h1>./check a</h1>" in page
    assert "Failures" in page
    assert "/jobs/1/mail" not in page
    assert "about a kernel" in client.get("/jobs/1/mail").text
    refused = post(client, "/submit", {"sender": "Jo <jo@example.org>", "sure": "true"}, "/jobs/1/mail")
    assert refused.status_code == 409
    assert "about a kernel" in refused.text
