"""Guilty files of reports that others have labelled; the data is not part of the project (tests/support/peer.py)."""

import json

from tests.support.peer import shared

from firstbad.crash import parse
from firstbad.crash.guilty import guilty_file


def blamed(row: dict) -> str:
    """The file we blame, judged as the table's README says."""
    body = row["report"]
    if row["kind"] == "guilty_raw":
        return guilty_file(row["title"], body)
    report = parse(body.encode("latin-1"))
    if report is None:
        return guilty_file("", body)
    whole = not body.rstrip("\n").endswith(report.report.rstrip("\n"))
    return guilty_file(report.title, body if whole else report.report)


def test_at_least_95_of_100_are_right() -> None:
    table = (shared() / "peer" / "guilty_cases.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in table]
    wrong = [(row["name"], row["file"], got) for row in rows if (got := blamed(row)) != row["file"]]
    assert len(rows) > 30
    assert len(wrong) <= 0.05 * len(rows), wrong
