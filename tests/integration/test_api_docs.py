"""docs/service.md: its commands are executed."""

import json
import os
import re
import shutil

import httpx
import pytest
from tests.integration.test_api_client import Running
from tests.support import pages
from tests.support.pages import ROOT, blocks, programs


def block(name, language="sh"):
    page = blocks(ROOT / "docs" / "service.md", language)
    return next(one.text for one in page if one.mark == f"test: {name}")


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    made = Running(tmp_path_factory.mktemp("docs"))
    # `firstbad` as the page calls it.
    programs(made.root / "bin")
    made.start("--no-worker")
    yield made
    made.stop()


def shell(running, text, **more):
    path = f"{running.root / 'bin'}:{os.environ['PATH']}"
    home = {"FIRSTBAD_HOME": str(running.place.root), "PATH": path}
    environment = {**os.environ, **home, **more}
    return pages.shell(text, running.root, environment)


def test_tokens_and_repositories(running):
    said = shell(running, block("token"))
    assert len(re.findall(r"^fb_\S{43}$", said, re.M)) == 2
    assert "revoked" in shell(running, "firstbad token list")
    assert f"linux: {running.history.path}" in shell(running, block("repository"), LINUX=str(running.history.path))


def test_the_api(running):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    shell(running, block("repository"), LINUX=str(running.history.path))
    commits = running.history.commits
    ends = f'commit = "{commits["c11"]}"\ngood = ["{commits["c0"]}"]\n'
    names = 'repo = "linux"\nconfig = "config"\nrepro = "crash.c"\ntitle = "BUG: x"\n'
    (running.root / "job.toml").write_text(names + ends)
    (running.root / "config").write_text("CONFIG_64BIT=y\n")
    (running.root / "crash.c").write_text("int main(void) { return 0; }\n")
    said = shell(running, block("api"), TOKEN=running.token, URL=running.url)
    assert '"job":1,"new":true' in said
    assert '"standing":"cancelled"' in said


def test_logs_are_one_json_object_a_line(running):
    httpx.get(f"{running.url}/api/v1/jobs/1", headers={"Authorization": f"Bearer {running.token}"})
    httpx.get(f"{running.url}/jobs/%1b%5b31m%0a{{}}")
    lines = [json.loads(line) for line in (running.root / "serve.log").read_text().splitlines()]
    assert {"event", "level", "logger", "timestamp"} <= set(lines[-1])
    asked = [line for line in lines if line["event"] == "request"]
    assert {"method", "path", "status", "seconds", "who"} <= set(asked[-1])
    assert asked[-1]["path"].startswith("/jobs/")
    assert "fb_" not in json.dumps(lines)


def test_the_signature(running):
    from firstbad.web.delivery import signature

    names: dict = {}
    exec(block("signature", "python"), names)
    headers = {"Firstbad-Timestamp": "1700000000", "Firstbad-Signature": signature("key", "1700000000", b"{}")}
    assert names["is_ours"]("key", headers, b"{}")
    assert not names["is_ours"]("key", headers, b"{ }")
    assert not names["is_ours"]("other", headers, b"{}")
