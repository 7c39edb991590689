"""`firstbad export`, `--junit` and `--kcidb`: files for other programs, of jobs that ended in every way."""

import json
import xml.etree.ElementTree as ET

import pytest
from tests.cmd.test_test import files, history, invoke, lab, place  # noqa: F401 - fixtures


def test_a_bisection_writes_its_files(place, history, lab):  # noqa: F811
    history.git("remote", "add", "origin", "https://me:secret@git.example.org/linux.git")
    junit, kcidb = place / "out.xml", place / "out.json"
    done = invoke("cause", *files(place), "--plain", "--junit", junit, "--kcidb", kcidb, "--kcidb-origin", "myci")
    assert done.exit_code == 0, done.stderr
    (suite,) = ET.parse(junit).getroot()
    cases = {case.get("name", "")[:12]: case for case in suite.findall("testcase")}
    bad, good = history.commits["c2"][:12], history.commits["c1"][:12]
    assert cases[bad].find("failure") is not None
    assert "NULL pointer dereference" in (cases[bad].find("failure").get("type") or "")
    assert "RIP: 0010:demo_read" in (cases[bad].find("failure").text or "")
    assert cases[good].find("failure") is None
    assert int(suite.get("failures", "")) == sum(case.find("failure") is not None for case in cases.values())
    found = {one.get("name"): one.get("value") for one in suite.iter("property")}
    assert json.loads(found["commits"]) == [history.commits["c2"]]
    assert found["proof"] == "gone"
    data = json.loads(kcidb.read_text())
    assert data["issues"][0]["misc"]["commits"] == [history.commits["c2"]]
    assert {one["git_repository_url"] for one in data["checkouts"]} == {"https://git.example.org/linux.git"}
    assert "secret" not in kcidb.read_text() + junit.read_text()
    assert str(place) not in kcidb.read_text() + junit.read_text(), "no path of this machine"
    assert all("start_time" in one for name in ("checkouts", "builds", "tests") for one in data[name])
    schema = pytest.importorskip("kcidb_io").schema
    schema.V5_3.validate_exactly(data)
    again = invoke("export", 1, "--kcidb", "-", "--kcidb-origin", "myci")
    assert json.loads(again.stdout) == data
    assert not list(place.glob(".out*")), "nothing half-written is left"


def test_a_test_and_a_failure_write_theirs(place, history, lab):  # noqa: F811
    junit = place / "out.xml"
    crashes = invoke("test", *files(place), "--rev", "HEAD", "--junit", junit, "--kcidb", place / "out.json", "--plain")
    assert crashes.exit_code == 1
    assert ET.parse(junit).getroot().get("failures") == "1"
    missing = invoke("cause", *files(place), "--commit", history.commits["c1"], "--junit", junit, "--plain")
    assert missing.exit_code == 14
    root = ET.parse(junit).getroot()
    assert "wasn't reproduced" in (root.find("testsuite/system-err").text or "")
    assert root.get("failures") == "0"


def test_what_can_not_be_written_is_told_before_anything_is_built(place, history, lab):  # noqa: F811
    lost = invoke("cause", *files(place), "--junit", place / "none" / "out.xml")
    assert (lost.exit_code, "--junit" in lost.stderr, lab) == (2, True, [])
    wrong = invoke("cause", *files(place), "--kcidb", place / "out.json", "--kcidb-origin", "My CI")
    assert (wrong.exit_code, "--kcidb-origin" in wrong.stderr, lab) == (2, True, [])
    (place / "job.toml").write_text('repo = "repo"\nconfig = "config"\nrepro = "repro.c"\nprivate = true\n')
    private = invoke("cause", place / "job.toml", "--kcidb", place / "out.json")
    assert (private.exit_code, "private" in private.stderr, lab) == (2, True, [])


def test_export_needs_a_job_and_a_file(place, history, lab):  # noqa: F811
    assert invoke("export", "--junit", "-").exit_code == 2
    assert invoke("cause", *files(place), "--plain").exit_code == 0
    nothing = invoke("export")
    assert (nothing.exit_code, "--junit or --kcidb" in nothing.stderr) == (2, True)
    assert ET.fromstring(invoke("export", "--junit", "-").stdout).get("tests") != "0"
