"""KCIDB JSON, version 5.3 of kernelci's I/O schema: a checkout and a build for each revision, a test for each run.

The crash is an issue; every run that showed it, and every build that was found to be without it, is an incident.
"""

import hashlib
import re
from datetime import UTC, datetime
from typing import Any

from firstbad.errors import UserError
from firstbad.report.record import JobRecord, RevisionRecord, RunRecord

VERSION = {"major": 5, "minor": 3}
_ORIGIN = re.compile(r"[a-z0-9_]+")
_EXCERPT = 16_000  # characters; the schema's limit is 16384
# The outcome of a run: status of the test, and the node of the test tree that it is about.
_STATUS = {
    "crash": ("FAIL", "firstbad.reproducer"),
    "other": ("ERROR", "firstbad.reproducer"),
    "ok": ("PASS", "firstbad.reproducer"),
    "boot": ("FAIL", "boot"),
    "infra": ("MISS", "firstbad.reproducer"),
}


def kcidb_json(record: JobRecord, origin: str) -> dict[str, Any]:
    """The report of one job. ``origin``: the name by which the CI system is known to KCIDB.

    Made again, it has the same identifiers. Raises UserError for an origin that the schema does not allow.
    """
    return _Report(record, check_origin(origin)).data()


def check_origin(origin: str) -> str:
    """Raises UserError for an origin that the schema does not allow."""
    if not _ORIGIN.fullmatch(origin):
        raise UserError(
            f"--kcidb-origin {origin!r}: only a-z, 0-9 and _ are allowed; it is your CI system's name in KCIDB"
        )
    return origin


class _Report:
    def __init__(self, record: JobRecord, origin: str) -> None:
        self.record, self.origin = record, origin
        facts = f"{record.began!r} {record.job} {record.kind} {record.start}"
        # The same job has the same name whenever, another machine's job of the same number another one.
        self.key = hashlib.sha256(_clean(facts).encode()).hexdigest()[:16]
        self.issue = self._id("issue") if record.crash_title else ""

    def data(self) -> dict[str, Any]:
        revisions = [revision for revision in self.record.revisions if re.fullmatch("[0-9a-f]{40}", revision.hash)]
        built = [revision for revision in revisions if revision.build is not None]
        return {
            "version": VERSION,
            "checkouts": [self._checkout(revision) for revision in revisions],
            "builds": [self._build(revision) for revision in built],
            "tests": [self._test(one, n, run) for one in built for n, run in enumerate(one.runs)],
            "issues": [self._issue()] if self.issue else [],
            "incidents": [incident for one in built for incident in self._incidents(one)] if self.issue else [],
        }

    def _id(self, *parts: object) -> str:
        return f"{self.origin}:firstbad-{self.key}-" + "-".join(str(part) for part in parts)

    def _checkout(self, revision: RevisionRecord) -> dict[str, Any]:
        data: dict[str, Any] = {
            "id": self._id(revision.hash),
            "origin": self.origin,
            "git_commit_hash": revision.hash,
            "patchset_hash": _patchset_hash(self.record.patch),
            "comment": _clean(revision.title),
            "valid": True,
        }
        if revision.release:
            data["git_commit_name"] = _clean(revision.release)
        if self.record.repository:
            data["git_repository_url"] = self.record.repository
        return data | _began(revision.began)

    def _build(self, revision: RevisionRecord) -> dict[str, Any]:
        build = revision.build
        assert build is not None  # noqa: S101 - the caller looked
        data = {
            "id": self._id(revision.hash, "build"),
            "checkout_id": self._id(revision.hash),
            "origin": self.origin,
            "status": "PASS" if build.ok else "FAIL",
            "architecture": re.sub("[^a-z0-9_]", "_", self.record.arch.lower()),
            "compiler": _clean(build.compiler),
            "duration": round(build.seconds, 3),
            "misc": {
                "signature": _clean(build.signature),
                "config_sha256": build.config,
                "cherry_picked": _cleaned(list(build.fixes)),
            },
        }
        if build.error:
            data["log_excerpt"] = _clean(build.error[:_EXCERPT])
        return data | _began(build.began)

    def _test(self, revision: RevisionRecord, number: int, run: RunRecord) -> dict[str, Any]:
        status, path = _STATUS[run.outcome]
        data: dict[str, Any] = {
            "id": self._id(revision.hash, number),
            "build_id": self._id(revision.hash, "build"),
            "origin": self.origin,
            "path": path,
            "status": status,
            "duration": round(run.seconds, 3),
            "environment": {
                "comment": _clean(self.record.machines or "virtual machine"),
                "misc": {"cpus": self.record.cpus, "memory_mb": self.record.memory_mb},
            },
        }
        if run.title:
            data["comment"] = _clean(f"{run.title} ({run.why})" if run.outcome == "other" and run.why else run.title)
        if run.report:
            data["log_excerpt"] = _clean(run.report[:_EXCERPT])
        return data | _began(run.began)

    def _issue(self) -> dict[str, Any]:
        record, answer = self.record, self.record.answer
        names = ("status", "commits", "probabilities", "confidence", "title", "boundary", "why", "noop", "proof")
        return {
            "id": self.issue,
            "version": record.version,
            "origin": self.origin,
            "culprit": {"code": True, "tool": False, "harness": False},
            "report_subject": _clean(record.crash_title),
            "comment": _clean(_words(record)),
            "misc": {"kind": record.kind, **{name: _cleaned(answer[name]) for name in names if name in answer}},
        }

    def _incidents(self, revision: RevisionRecord) -> list[dict[str, Any]]:
        """Each run that showed the crash; for a revision without it one for its build."""
        found = [
            {**self._incident(revision.hash, number), "test_id": self._id(revision.hash, number), "present": True}
            for number, run in enumerate(revision.runs)
            if run.outcome == "crash"
        ]
        if revision.verdict == "good" and not found:
            misc = {} if revision.p_bug is None else {"probability_of_the_bug": revision.p_bug}
            absent = {"build_id": self._id(revision.hash, "build"), "present": False, "misc": misc}
            found.append({**self._incident(revision.hash, "absent"), **absent})
        return found

    def _incident(self, *parts: object) -> dict[str, Any]:
        version = self.record.version
        return {
            "id": self._id("incident", *parts),
            "origin": self.origin,
            "issue_id": self.issue,
            "issue_version": version,
        }


def _words(record: JobRecord) -> str:
    answer = record.answer
    commits = answer.get("commits") or []
    if answer.get("status") == "found" and commits:
        word = "first good" if record.kind == "fix" else "first bad"
        sure = f"with probability {answer.get('confidence', 0):.4f}"
        return f"{record.crash_title}: {word} commit {commits[0]} {answer.get('title', '')} {sure}"
    return f"{record.crash_title}: {answer.get('status', 'unfinished')}"


def _patchset_hash(patch: bytes) -> str:
    """As the schema wants it: a hash over the lines of hashes of patches; empty without one."""
    if not patch:
        return ""
    return hashlib.sha256(f"{hashlib.sha256(patch).hexdigest()}\n".encode()).hexdigest()


def _began(seconds: float | None) -> dict[str, str]:
    return {} if seconds is None else {"start_time": datetime.fromtimestamp(seconds, UTC).isoformat()}


def _clean(text: str) -> str:
    """Text as the schema and every JSON reader takes it: without NUL and without halves of surrogate pairs."""
    return re.sub("[\x00\ud800-\udfff]", "\N{REPLACEMENT CHARACTER}", text)


def _cleaned(value: Any) -> Any:
    """The texts in an answer's lists and tables, as `_clean` has them."""
    if isinstance(value, dict):
        return {_clean(str(key)): _cleaned(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_cleaned(one) for one in value]
    return _clean(value) if isinstance(value, str) else value
