"""JUnit XML: a job is a test suite, a tested revision a test case.

The elements and attributes are those of the schema that Jenkins' xUnit plugin checks (junit-10.xsd).
"""

import json
import re
import xml.etree.ElementTree as ET  # only written here
from datetime import UTC, datetime

from firstbad.report.record import JobRecord, RevisionRecord

_EXCERPT = 16_000  # characters of a crash report
# What XML 1.0 lets no document hold, not even as a character reference (its production 2).
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ANSWER = ("status", "commits", "probabilities", "confidence", "boundary", "title", "why", "noop", "is_merge", "rate")


def junit_xml(record: JobRecord) -> str:
    """The whole document. Characters that XML forbids become U+FFFD; all else is escaped."""
    cases = [_case(record, revision) for revision in record.revisions]
    count = {name: sum(case.find(name) is not None for case in cases) for name in ("failure", "error", "skipped")}
    totals = {
        "tests": str(len(cases)),
        "failures": str(count["failure"]),
        "errors": str(count["error"]),
        "time": f"{record.seconds:.3f}",
    }
    root = ET.Element("testsuites", {"name": "firstbad", **totals})
    more = {"skipped": str(count["skipped"]), "timestamp": _time(record.began), "id": str(record.job)}
    suite = ET.SubElement(root, "testsuite", {"name": _clean(record.heading), **totals, **more})
    _properties(suite, record)
    suite.extend(cases)
    if record.error:
        ET.SubElement(suite, "system-err").text = _clean(record.error)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _properties(suite: ET.Element, record: JobRecord) -> None:
    """The answer: what `firstbad show --json` says, in the same names."""
    found = {"job": str(record.job), "kind": record.kind, "start": record.start, "crash": record.crash_title}
    for name in _ANSWER:
        value = record.answer.get(name)
        if value not in (None, "", []):
            found[name] = value if isinstance(value, str) else json.dumps(value)
    proof = record.answer.get("proof")
    if proof:
        found |= {"proof": proof["verdict"], "proof_why": proof["why"]}
    properties = ET.SubElement(suite, "properties")
    for name, value in found.items():
        ET.SubElement(properties, "property", {"name": name, "value": _clean(value)})


def _case(record: JobRecord, revision: RevisionRecord) -> ET.Element:
    name = f"{revision.hash[:12]} {revision.title}".strip()
    attributes = {"name": name, "classname": f"firstbad.{record.kind}.{record.job}", "time": f"{revision.seconds:.3f}"}
    case = ET.Element("testcase", {key: _clean(value) for key, value in attributes.items()})
    crashes = [run for run in revision.runs if run.outcome == "crash"]
    if revision.verdict == "bad":
        title = crashes[0].title if crashes else record.crash_title
        verb = "failed" if record.project else "crashed"
        counts = f"{len(crashes)} of {len(revision.runs)} runs {verb}"
        words = f"{counts if revision.runs else revision.reason or 'no run of its own'}: {title}"
        _child(case, "failure", title, words, crashes[0].report if crashes else "")
    elif revision.verdict == "error":
        _child(case, "error", "infrastructure", revision.reason, "")
    elif revision.verdict != "good":
        _child(case, "skipped", "skip", revision.reason or "its test did not come to an end", "")
    lines = [f"run {number}: {run.outcome} {run.title}".rstrip() for number, run in enumerate(revision.runs)]
    if lines:
        ET.SubElement(case, "system-out").text = _clean("\n".join(lines))
    return case


def _child(case: ET.Element, name: str, kind: str, message: str, text: str) -> None:
    child = ET.SubElement(case, name, {"type": _clean(kind), "message": _clean(message)})
    child.text = _clean(text[:_EXCERPT]) or None


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
