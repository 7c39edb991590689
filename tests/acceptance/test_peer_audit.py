"""The audit on labelled bisection logs of others, bugs that the fit did not see; and on the two example logs."""

import pytest
from benchmarks.audit import calibration, figures
from benchmarks.audit_cases import read_audit_cases
from benchmarks.fit_audit import fit, held_out
from tests.support.peer import shared

from firstbad.audit import audit
from firstbad.audit.contradictions import contradictions
from firstbad.audit.terms import weights
from firstbad.report.log import read_log


@pytest.fixture(scope="module")
def cases():
    directory = shared() / "bisections"
    if not (directory / "logs.tar.xz").is_file():
        pytest.skip("the labelled bisection logs are not here; FIRSTBAD_SHARED names their directory")
    return read_audit_cases(directory)


def test_held_out_figures(cases):
    """What docs/audit.md says was measured."""
    chances = held_out(cases)
    found = figures(cases, chances)
    assert found.area >= 0.92
    assert found.flagged >= 0.75
    assert found.suspects >= 0.55
    ours, own = found.errors
    assert ours < own
    assert all(row.holds for row in calibration(cases, chances))


def test_no_real_log_contradicts_itself(cases):
    assert [case.bug for case in cases if contradictions(case.facts)] == []


def test_what_ships_is_what_the_fit_gives(cases):
    """To a tenth: crash identity is judged by coefficients of the folds here."""
    fitted = fit(cases)
    assert set(fitted) == set(weights().terms)
    assert all(abs(value - weights().terms[name]) < 0.1 for name, value in fitted.items())


def seed(beginning: str):
    found = list((shared() / "seeds").glob(f"{beginning}*"))
    if not found:
        pytest.skip("the two example logs are not here; FIRSTBAD_SHARED names their directory")
    return read_log(found[0].read_text())


def test_the_example_that_is_wrong():
    """One run in ten of another failure was taken for the bug, at the first step."""
    log = seed("004")
    judged = audit(log)
    assert judged.verdict == "reject"
    first = next(test for test in log.tests if any("SYZFAIL" in outcome for outcome in test.outcomes))
    assert judged.suspect is not None
    assert (judged.suspect.hash, judged.suspect.why) == (first.hash, "unrelated-crash")
    assert next(one for one in judged.revisions if one.hash == first.hash).verdict == "good"


def test_the_example_that_is_right_is_not_rejected():
    """It walked thirteen releases: most that walk so far and then stop are wrong, so it can't be trusted by itself."""
    judged = audit(seed("000"))
    assert judged.verdict == "doubt"
    assert judged.suspect is not None
    assert judged.suspect.why == "not-triggered"
