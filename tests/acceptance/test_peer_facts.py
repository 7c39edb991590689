"""The `syzbot` baseline against the facts of the peer whose rules it restates."""

import math

import pytest
from tests.support import peer

from firstbad.simulation.baselines.syzbot import pick_tags, representative, syzbot, verdict

ERRORS = {"not_reproduced", "untestable", "infra_failure"}


def pytest_generate_tests(metafunc):
    if "row" in metafunc.fixturenames:
        try:
            found = peer.rows(beyond=metafunc.function is test_its_known_errors)
        except pytest.skip.Exception:
            found = []
        metafunc.parametrize("row", found, ids=[row["name"] for row in found])


def test_verdicts():
    for case in peer.table()["verdict_cases"]:
        counts = {key: case[key] for key in ("total", "good", "bad", "infra", "skip", "flaky")}
        assert verdict(**counts) == case["expect"], case["name"]


def test_representative_reports():
    for case in peer.table()["most_frequent_report_cases"]:
        found = representative([(report["title"], report["type"]) for report in case["reports"]])
        expected = case["expect"]
        assert found.title == expected["title"], case["name"]
        assert sorted(found.types) == sorted(expected["types_unordered"]), case["name"]
        assert found.others == expected["others"], case["name"]


def test_release_tags():
    for case in peer.table()["pick_release_tags_cases"]:
        assert pick_tags(case["tags_newest_first"]) == case["expect"], case["name"]


def test_all_rows_are_there():
    assert len(peer.rows()) == 30
    assert len(peer.rows(beyond=True)) == 3


def run(row):
    world = peer.PeerWorld(row)
    return syzbot(peer.scenario(row).task, world), world


def test_answers(row):
    result, _ = run(row)
    expected = row["expect"]
    if expected["error"]:
        assert result.status in ERRORS
        if expected["error_type"]:
            assert result.status == "infra_failure"
        return
    if "observed_suspects" in row:
        assert set(result.commits) == set(row["observed_suspects"])
    else:
        assert len(result.commits) == (expected["n_commits"] or 0)
    if expected["commit_title"]:
        assert (result.status, result.commits) == ("found", (expected["commit_title"],))
    assert result.noop == expected["noop_change"]
    assert result.is_release == expected["is_release"]
    assert result.boundary == expected["oldest_latest"]
    if "confidence_gt" in expected:
        assert expected["confidence_gt"] < result.confidence < expected.get("confidence_lt", 1.01)


def test_traces(row):
    observed = peer.table()["peer_traces"][row["name"]]["normal"]
    result, world = run(row)
    tested = [(test["commit"], test["vms"]) for test in observed["tests"]]
    if "inconclusive" in row["name"]:
        # Once revisions were skipped, git chooses among equals by hash: the same skipped ones, in another order.
        broken = {f"{number}" for number in range(row["broken"][0], row["broken"][1] + 1)}
        assert {name for name, _ in world.tested} & broken == {name for name, _ in tested} & broken
        return
    assert world.tested == tested
    assert result.revisions_tested == len(tested)
    assert result.runs == observed["vm_runs"]
    confidence = (observed["result"] or {}).get("confidence")
    if confidence and result.status == "found":
        assert math.isclose(result.confidence, confidence, abs_tol=1e-9)


def test_its_known_errors(row):
    """Where it names a wrong commit with full confidence, so does the baseline."""
    result, _ = run(row)
    assert (list(result.commits), result.confidence) == (row["peer_answer"], 1.0)
