"""Is it the same bug? On labelled bisections, which are not part of the project (tests/support/peer.py)."""

from pathlib import Path

import pytest
from benchmarks.identity import RULES, Judged, area, by_bug, count, judge_all
from benchmarks.identity_cases import read_identity_cases, shown_of
from tests.support.peer import shared

from firstbad.crash.identity import Bug
from firstbad.report.log import read_log


@pytest.fixture(scope="module")
def place() -> Path:
    found = shared()
    if not (found / "bisections" / "revisions.jsonl").is_file():
        pytest.skip("the labelled bisections are not here; FIRSTBAD_SHARED names the directory that holds them")
    return found


@pytest.fixture(scope="module")
def judged(place: Path) -> list[Judged]:
    return judge_all(read_identity_cases(place / "bisections"))


def test_no_bug_is_judged_by_what_was_learned_from_it(judged: list[Judged]) -> None:
    assert len(judged) > 4000
    assert len({one.case.bug for one in judged}) > 300
    assert all(0 < one.probability < 1 for one in judged)


def test_few_good_revisions_are_called_bad_and_few_bad_ones_are_lost(judged: list[Judged]) -> None:
    verdicts = [one.verdict for one in judged]
    ours = count(judged, verdicts)
    assert ours.wrong <= 0.016
    assert ours.lost <= 0.02
    lost, wrong = by_bug(judged, verdicts)
    assert lost[1] < 0.025
    assert wrong[1] < 0.025
    assert area(judged) > 0.9


def test_no_other_rule_is_better(judged: list[Judged]) -> None:
    ours = count(judged, [one.verdict for one in judged])
    for name, rule in RULES.items():
        theirs = count(judged, [rule(one.case, one.revision.shown) for one in judged])
        # One bad revision lost costs about as much as one good one called bad: both send the search astray.
        assert ours.wrong + ours.lost < theirs.wrong + theirs.lost, name


def test_probabilities_mean_what_they_say(judged: list[Judged]) -> None:
    crashed = [one for one in judged if one.revision.shown.crashes]
    for low, high in ((0.0, 0.5), (0.7, 0.9), (0.9, 0.97), (0.97, 1.0)):
        some = [one for one in crashed if low <= one.probability < high]
        share = sum(one.revision.present for one in some) / len(some)
        assert abs(share - sum(one.probability for one in some) / len(some)) < 0.12, (low, high, share)


def test_one_failure_of_the_test_machinery_in_ten_runs_is_not_the_bug(place: Path) -> None:
    logs = [read_log(path.read_text()) for path in sorted((place / "seeds").glob("*.txt"))]
    seen = 0
    for log in logs:
        bug = Bug([log.tests[0].outcomes[0].removeprefix("crashed: ")])
        for test in log.tests[1:]:
            shown = shown_of(test)
            if any(str(title).startswith("SYZFAIL") for title, _ in shown.crashes) and len(shown.crashes) == 1:
                assert bug.holds(shown).verdict != "bad"
                seen += 1
    assert seen >= 5
