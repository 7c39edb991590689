"""JUnit XML and KCIDB JSON: valid by the schemas of those who read them, whatever a log or a title holds."""

import json
import os
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstbad.errors import UserError
from firstbad.report.junit import junit_xml
from firstbad.report.kcidb import VERSION, kcidb_json
from firstbad.report.record import BuildRecord, JobRecord, RevisionRecord, RunRecord

A, B, C, D, E = (digit * 40 for digit in "abcde")
TITLE = "KASAN: slab-use-after-free Read in widget_get"
BUILT = BuildRecord(True, "gcc 12", "5e" * 32, "", 12.5, 1_700_000_000.25, "c0" * 32, (D,))
BROKEN = replace(BUILT, ok=False, error="x.c:1: error")
CRASH = RunRecord("crash", TITLE, "same title", "BUG: KASAN: ...\n widget_get+0x1/0x2\n", 3.25, 1_700_000_100.0)
CLEAN = RunRecord("ok", seconds=30.0)
REVISIONS = (
    RevisionRecord(A, "widget: get", "bad", "", 0.999, "v6.8", BUILT, (CLEAN, CRASH, CRASH), 50.5),
    RevisionRecord(B, "widget: begin", "good", "", 0.001, "", BUILT, (CLEAN, CLEAN), 70.0, 1e9),
    RevisionRecord(C, "widget: break", "skip", "does not build: x.c:1: error", build=BROKEN),
    RevisionRecord(D, "widget: lose", "error", "no disk", None, "", BUILT, (RunRecord("infra", "no disk"),), 1.0),
    RevisionRecord(E, "widget: go on", "", "", None, "", None, ()),
    RevisionRecord(
        "f" * 40, "widget: stray", "skip", "its runs gave no verdict", None, "", BUILT,
        (RunRecord("other", "WARNING in gadget", "another function"), RunRecord("boot", "no sign of life")),
    ),
)  # fmt: skip
ANSWER = {"status": "found", "commits": [A], "probabilities": [0.997], "confidence": 0.997, "title": "widget: get"}
RECORD = JobRecord(
    7, "cause", "", "x86_64", 1_700_000_000.5, E, TITLE, CRASH.report, ANSWER, 321.0, REVISIONS,
    version=42, repository="https://git.example.org/linux.git", cpus=2, memory_mb=512, machines="kvm",
)  # fmt: skip
HOSTILE = "x]]>&<\"'\x00\x01\x1b[31m\ud800￾\n\r\t</testcase>\u2028\U0001f4a9"


def hostile() -> JobRecord:
    """Everything that others write is hostile."""
    run = RunRecord("crash", HOSTILE, HOSTILE, HOSTILE * 9000)
    other = replace(run, outcome="other")
    build = BuildRecord(False, HOSTILE, HOSTILE, HOSTILE * 9000, fixes=(HOSTILE,))
    verdicts = ("bad", "good", "skip", "error", "")
    revisions = tuple(RevisionRecord(A, HOSTILE, v, HOSTILE, None, HOSTILE, build, (run, other)) for v in verdicts)
    answer = {**ANSWER, "title": HOSTILE, "why": HOSTILE, "proof": {"verdict": "gone", "why": HOSTILE}}
    return replace(
        RECORD, name=HOSTILE, crash_title=HOSTILE, answer=answer, error=HOSTILE, arch=HOSTILE, revisions=revisions,
        machines=HOSTILE, start=HOSTILE,
    )  # fmt: skip


# ---------------------------------------------------------------- JUnit


def suite_of(record: JobRecord) -> ET.Element:
    root = ET.fromstring(junit_xml(record))
    (suite,) = root
    assert (root.tag, suite.tag) == ("testsuites", "testsuite")
    return suite


def test_a_suite_a_job_and_a_case_a_revision() -> None:
    suite = suite_of(RECORD)
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "6", "failures": "1", "errors": "1", "skipped": "3",
    }  # fmt: skip
    assert suite.get("time") == "321.000"
    assert suite.get("timestamp") == "2023-11-14T22:13:20"
    cases = suite.findall("testcase")
    assert cases[0].get("name") == f"{A[:12]} widget: get"
    assert [[child.tag for child in case] for case in cases] == [
        ["failure", "system-out"], ["system-out"], ["skipped"], ["error", "system-out"], ["skipped"],
        ["skipped", "system-out"],
    ]  # fmt: skip
    failure = cases[0].find("failure")
    assert failure is not None
    assert (failure.get("type"), failure.get("message")) == (TITLE, f"2 of 3 runs crashed: {TITLE}")
    assert "widget_get+0x1/0x2" in (failure.text or "")
    skipped = cases[2].find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "does not build: x.c:1: error"
    found = {p.get("name"): p.get("value") for p in suite.iter("property")}
    assert (found["status"], found["commits"], found["confidence"]) == ("found", json.dumps([A]), "0.997")


def test_hostile_text_makes_no_element() -> None:
    suite = suite_of(hostile())
    assert len(suite.findall("testcase")) == 5
    name = suite.get("name") or ""
    assert name.startswith("x]]>&<\"'\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}[31m")
    assert "</testcase>" in name
    assert "\U0001f4a9" in name
    assert max(len(child.text or "") for child in suite.iter("failure")) <= 16_000


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_any_text_is_well_formed(text: str) -> None:
    run = RunRecord("crash", text, text, text)
    record = replace(RECORD, name=text, error=text, revisions=(RevisionRecord(A, text, "bad", text, runs=(run,)),))
    assert junit_xml(record).encode("utf-8")
    assert len(suite_of(record).findall("testcase")) == 1


@pytest.mark.parametrize("record", [RECORD, hostile()], ids=["plain", "hostile"])
def test_a_common_reader_reads_it(record: JobRecord, tmp_path: Path) -> None:
    junitparser = pytest.importorskip("junitparser")
    (tmp_path / "a.xml").write_text(junit_xml(record), encoding="utf-8")
    (suite,) = junitparser.JUnitXml.fromfile(str(tmp_path / "a.xml"))
    cases = list(suite)
    assert len(cases) == len(record.revisions)
    assert sum(case.is_failure for case in cases) == suite.failures == 1
    assert sum(case.is_error for case in cases) == suite.errors == 1
    assert sum(case.is_skipped for case in cases) == suite.skipped


@pytest.mark.parametrize("record", [RECORD, hostile()], ids=["plain", "hostile"])
def test_it_is_valid_by_the_schema_of_jenkins(record: JobRecord) -> None:
    path = os.environ.get("FIRSTBAD_JUNIT_XSD")
    if not path:
        pytest.skip("FIRSTBAD_JUNIT_XSD names no schema (junit-10.xsd of Jenkins' xUnit plugin)")
    xmlschema = pytest.importorskip("xmlschema")
    xmlschema.XMLSchema(path).validate(junit_xml(record))


def test_a_revision_whose_kernel_was_run_already() -> None:
    same = RevisionRecord(A, "widget: rename", "bad", "the same kernel as bbbbbbbbbbbb", build=BUILT)
    failure = suite_of(replace(RECORD, revisions=(same,))).find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == f"the same kernel as bbbbbbbbbbbb: {TITLE}"


# ---------------------------------------------------------------- KCIDB


def test_kcidb_says_what_was_built_run_and_found() -> None:
    data = kcidb_json(RECORD, "myci")
    assert data["version"] == VERSION
    assert [one["git_commit_hash"] for one in data["checkouts"]] == [revision.hash for revision in REVISIONS]
    assert [one["status"] for one in data["builds"]] == ["PASS", "PASS", "FAIL", "PASS", "PASS"]
    assert [one["status"] for one in data["tests"]] == ["PASS", "FAIL", "FAIL", "PASS", "PASS", "MISS", "ERROR", "FAIL"]
    assert data["tests"][1]["log_excerpt"] == CRASH.report
    assert data["tests"][1]["start_time"] == "2023-11-14T22:15:00+00:00"
    (issue,) = data["issues"]
    assert issue["culprit"] == {"code": True, "tool": False, "harness": False}
    assert (issue["version"], issue["misc"]["commits"]) == (42, [A])
    assert f"first bad commit {A} widget: get" in issue["comment"]
    incidents = data["incidents"]
    assert [(one["present"], "test_id" in one) for one in incidents] == [(True, True), (True, True), (False, False)]
    assert incidents[2]["build_id"] == data["builds"][1]["id"]
    ids = [one["id"] for name in ("checkouts", "builds", "tests", "issues", "incidents") for one in data[name]]
    assert len(set(ids)) == len(ids)
    assert all(re.match("myci:", one) for one in ids)
    assert {one["checkout_id"] for one in data["builds"]} <= {one["id"] for one in data["checkouts"]}
    assert {one["build_id"] for one in data["tests"]} <= {one["id"] for one in data["builds"]}
    assert kcidb_json(replace(RECORD, version=43), "myci")["tests"] == data["tests"], (
        "the same objects have the same names"
    )
    assert kcidb_json(replace(RECORD, began=1.0), "myci")["tests"][0]["id"] != data["tests"][0]["id"]


def test_without_a_crash_there_is_no_issue() -> None:
    data = kcidb_json(replace(RECORD, crash_title=""), "myci")
    assert (data["issues"], data["incidents"]) == ([], [])


def test_a_patch_is_told_by_its_hash() -> None:
    plain, patched = (kcidb_json(replace(RECORD, patch=patch), "x")["checkouts"][0] for patch in (b"", b"diff\n"))
    assert plain["patchset_hash"] == ""
    # sha256sum fix.diff | cut -c-64 | sha256sum | cut -c-64
    assert patched["patchset_hash"] == "bc83052b968a9d9af7d5da7ef248c3c773056d6366d47bd723e3ff6d684fbef4"


@pytest.mark.parametrize("origin", ["", "My CI", "a:b", "a\n", "ä"])
def test_an_origin_that_the_schema_does_not_allow(origin: str) -> None:
    with pytest.raises(UserError, match="a-z, 0-9"):
        kcidb_json(RECORD, origin)


@pytest.mark.parametrize("record", [RECORD, hostile(), replace(RECORD, crash_title="")], ids=["a", "hostile", "none"])
def test_it_is_valid_by_the_schema_of_kernelci(record: JobRecord) -> None:
    schema = pytest.importorskip("kcidb_io").schema
    data = json.loads(json.dumps(kcidb_json(record, "myci")))
    schema.V5_3.validate_exactly(data)
    assert json.dumps(data).encode("ascii")
    broken = {**data, "checkouts": [{**data["checkouts"][0], "git_commit_hash": "HEAD"}]}
    with pytest.raises(Exception, match="HEAD"):
        schema.V5_3.validate_exactly(broken)


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_any_text_is_valid(text: str) -> None:
    schema = pytest.importorskip("kcidb_io").schema
    run = RunRecord("crash", text, text, text)
    revision = RevisionRecord(A, text, "bad", text, 0.5, text, replace(BUILT, compiler=text, error=text), (run,))
    data = kcidb_json(replace(RECORD, arch=text, crash_title=text, machines=text, revisions=(revision,)), "myci")
    schema.V5_3.validate_exactly(json.loads(json.dumps(data)))
