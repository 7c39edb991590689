"""Each rule for not reporting holds where it should and nowhere else, and gives its reason."""

import re
from dataclasses import replace

import pytest
from tests.unit.test_report_mail import story

from firstbad.report.rules import CONDITIONS, Facts, held_back, rules
from firstbad.report.story import Candidate, Claim


def facts(given=None, **changes) -> Facts:
    return replace(Facts(given or story(), 3, per_hour=4, per_day=20), **changes)


def culprit(**changes):
    return story(culprit=replace(story().culprit, **changes))


HOLDS = {
    "private": facts(story(private=True)),
    "unfinished": facts(story(status="unfinished", candidates=(), culprit=None)),
    "no-commit": facts(story(status="older_than_oldest", candidates=(), culprit=None)),
    "rejected": facts(story(rejected=(story().candidates[0].hash,))),
    "unsure": facts(story(confidence=0.98)),
    "no-op": facts(culprit(noop=True)),
    "merge": facts(culprit(is_merge=True)),
    "release": facts(culprit(is_release=True)),
    "no-code": facts(culprit(files=("Documentation/x.rst", "README.rst", "MAINTAINERS"))),
    "another-architecture": facts(culprit(files=("arch/arm64/kernel/head.S", "arch/s390/Kconfig"))),
    "misleading-commit": facts(culprit(hash="f2c2e717642c66f7fe7e5dd69b2e8ff5849f4d10")),
    "no-recipients": facts(recipients=0),
    "sent": facts(already="<a@example.org>"),
    "fate-unknown": facts(unknown="<a@example.org>"),
    "hourly": facts(hour=4),
    "daily": facts(day=20),
    "still-crashes": facts(story(proof="still")),
    "flaky": facts(story(crash_rate=0.05, proof="impossible")),
    "known": facts(culprit(claims=(Claim("e" * 40, "reverts", "Revert it"),))),
    "another-tree": facts(story(foreign=True, kind="fix")),
    "many-candidates": facts(story(status="candidates", culprit=None, candidates=(Candidate("a", "t", 0.1),) * 6)),
    "many-recipients": facts(recipients=31),
}


def test_every_rule_is_tried_here():
    assert list(HOLDS) == [rule.name for rule in rules()]
    assert {rule.when for rule in rules()} == set(CONDITIONS)


def test_a_good_answer_is_held_back_by_nothing():
    assert held_back(facts()) == []


@pytest.mark.parametrize("name", HOLDS)
def test_a_rule_holds_and_says_why(name):
    held = held_back(HOLDS[name])
    assert [one.name for one in held] == [name]
    assert not re.search(r"[{}]", held[0].reason)
    waived = held_back(HOLDS[name], waived=[name])
    assert (waived == []) == held[0].waivable


@pytest.mark.parametrize("name", ["private", "unsure", "no-op", "merge", "release", "sent"])
def test_what_nobody_may_waive(name):
    assert [one.name for one in held_back(HOLDS[name], waived=[name])] == [name]


@pytest.mark.parametrize(
    ("files", "arch"),
    [(("arch/x86/kernel/x.c",), "x86_64"), (("arch/arm64/a.c", "mm/x.c"), "x86_64"), (("arch/x86/um/x.c",), "um"),
     (("arch/um/x.c",), "um"), ((), "x86_64"), (("Documentation/a", "mm/x.c"), "x86_64")],
)  # fmt: skip
def test_commits_that_may_well_be_at_fault(files, arch):
    assert held_back(facts(replace(culprit(files=files), arch=arch))) == []


def test_the_best_answer_so_far_is_no_answer():
    assert [one.name for one in held_back(facts(story(status="budget")))] == ["unfinished"]


def test_a_correction_is_not_held_back_by_what_is_new():
    assert held_back(HOLDS["unsure"], correction=True) == []
    assert [one.name for one in held_back(HOLDS["private"], correction=True)] == ["private"]


def test_reasons_hold_no_control_characters():
    claim = Claim("e" * 40, "fixes", "x\x1b[31m\ny{confidence}")
    (held,) = held_back(facts(culprit(claims=(claim,))))
    assert held.reason.isprintable()
