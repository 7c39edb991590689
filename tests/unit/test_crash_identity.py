"""Is this crash the bug we hunt?"""

import math
from dataclasses import replace

import pytest

from firstbad.crash.formats import type_of
from firstbad.crash.identity import Bug, Coefficients, Finding, Shown, coefficients, place_of
from firstbad.crash.likeness import STACKS, WHERE, Face, Likeness, compare, face_of, face_of_title
from firstbad.crash.parse import Report, parse

STACK = " {0}+0x1/0x2\n widget_update+0x1/0x2\n widget_ioctl+0x1/0x2\n vfs_ioctl+0x1/0x2\n do_syscall_64+0x1/0x2\n"


def crash(text: str) -> Report:
    report = parse(text.encode())
    assert report is not None
    return report


def null_dereference(function: str) -> Report:
    head = f"BUG: kernel NULL pointer dereference, address: 0\nRIP: 0010:{function}+0x1/0x2\nCall Trace:\n"
    return crash(head + STACK.format(function))


def protection_fault(function: str) -> Report:
    return crash(
        f"general protection fault: 0000 [#1]\nRIP: 0010:{function}+0x1/0x2\nCall Trace:\n" + STACK.format(function)
    )


WARNING_ELSEWHERE = crash(
    "WARNING: CPU: 0 PID: 1 at net/gadget/a.c:1 gadget_check+0x1/0x2\n"
    "Call Trace:\n gadget_check+0x1/0x2\n gadget_poll+0x1/0x2\n"
)


def test_the_same_title_is_the_bug() -> None:
    match = Bug([null_dereference("widget_poke").title]).same(null_dereference("widget_poke"))
    assert match.probability > 0.99
    assert "same title" in match.why


def test_another_kind_of_crash_in_the_same_function_is_the_bug() -> None:
    bug = Bug([], [null_dereference("widget_poke")])
    match = bug.same(protection_fault("widget_poke"))
    assert match.probability > 0.95
    assert "same guilty function" in match.why


def test_underscores_and_inlining_do_not_hide_the_bug() -> None:
    bug = Bug([], [null_dereference("__widget_poke")])
    assert bug.same(null_dereference("widget_poke")).probability > 0.95
    assert bug.same(null_dereference("widget_helper")).probability > 0.9


def test_a_system_call_has_many_names() -> None:
    assert Bug(["WARNING in __x64_sys_widget"]).same("BUG: in __do_sys_widget").probability > 0.8
    assert Bug(["WARNING in __x64_sys_widget"]).same("WARNING in __do_sys_widget").probability > 0.95


def test_a_warning_elsewhere_is_not_the_bug() -> None:
    bug = Bug([], [protection_fault("widget_poke")])
    match = bug.same(WARNING_ELSEWHERE)
    assert match.probability < 0.1
    assert match.why == "different function, nothing of the stack shared, different type"


def test_the_test_machinery_is_not_the_bug_unless_it_is() -> None:
    failure = crash("SYZFAIL: no answer\n")
    match = Bug([], [protection_fault("widget_poke")]).same(failure)
    assert match.probability < 0.05
    assert "the test machinery failed" in match.why
    assert Bug(["SYZFAIL: no answer"]).same(failure).probability > 0.9


def test_a_learned_face_counts() -> None:
    bug = Bug([], [protection_fault("widget_poke")])
    before = bug.same(WARNING_ELSEWHERE).probability
    bug.learn(WARNING_ELSEWHERE)
    assert bug.same(WARNING_ELSEWHERE).probability > 0.99 > before
    assert bug.titles == ("general protection fault in widget_poke", "WARNING in gadget_check")


def test_nothing_known_says_nothing() -> None:
    assert Bug([]).same(WARNING_ELSEWHERE).probability == 0.5


def test_a_torn_report_is_weaker_evidence() -> None:
    torn = crash("general protection fault: 0000 [#1]\n")
    assert torn.corrupted
    bug = Bug([], [protection_fault("widget_poke")])
    assert bug.same(torn).probability < bug.same(protection_fault("widget_poke")).probability
    assert "guilty function" not in bug.same(torn).why


LOST = "INFO: rcu detected stall in corrupted"


def test_a_lost_function_says_less_where_the_bug_tells_its_own() -> None:
    assert Bug([LOST]).same(LOST).probability > 0.95
    assert Bug(["WARNING in widget_poke", LOST]).same(LOST).probability < 0.9


@pytest.mark.parametrize(
    ("known", "seen", "place"),
    [
        ("WARNING in widget_poke (3)", "WARNING in widget_poke", "same_title"),
        ("kernel BUG at net/widget/a.c:LINE!", "kernel BUG at net/widget/a.c:LINE!", "same_title"),
        ("WARNING in widget_poke", "general protection fault in __widget_poke", "same_function"),
        ("WARNING in widget_poke", "WARNING in widget_close", "same_family"),
        ("kernel BUG in widget_poke", "kernel BUG at net/widget/conn.c:LINE!", "same_family"),
        ("WARNING in fuse_request_end", "WARNING in request_end", "same_family"),
        ("WARNING in get_page", "WARNING in get_user", ""),
        ("WARNING in io_poll_wake", "WARNING in io_poll_arm", "same_family"),
        (LOST, LOST, "same_lost_title"),
        ("INFO: task hung in a_close", "INFO: task hung in b_read", "same_watchdog"),
        ("WARNING in widget_poke", "WARNING in corrupted", "same_kind"),
        ("WARNING in widget_poke", "WARNING in gadget_turn", ""),
    ],
)
def test_where_two_crashes_meet(known: str, seen: str, place: str) -> None:
    terms = compare(face_of_title(known), face_of_title(seen)).terms
    assert [name for name in WHERE if name in terms] == ([place] if place else [])


SYMBOLIZED = """BUG: KASAN: use-after-free in {0}+0x1/0x2 {1}:7
Read of size {2} at addr ffff888100a0b0c0 by task init/1
Call Trace:
 dump_stack_lvl+0x5d/0x80 lib/dump_stack.c:1
 kasan_report+0xb5/0xf0 mm/kasan/report.c:1
 {0}+0x1/0x2 {1}:7
 {0}_all+0x1/0x2 {1}:9
 do_syscall_64+0x1/0x2 arch/x86/entry/common.c:1
"""


def test_source_files_tell_the_subsystem() -> None:
    here = crash(SYMBOLIZED.format("foo", "net/widget/a.c", 8))
    near = crash(SYMBOLIZED.format("bar", "net/widget/a.c", 4))
    far = crash(SYMBOLIZED.format("baz", "fs/gadget/b.c", 8))
    assert face_of(here).file == "net/widget/a.c"
    assert face_of(here).files == {"net/widget/a.c"}
    same, other = compare(face_of(here), face_of(near)), compare(face_of(here), face_of(far))
    assert {"same_file", "other_size"} <= set(same.terms)
    assert "other_directory" in other.terms
    assert "different subsystem" in other.words
    bug = Bug([], [here])
    assert bug.same(near).probability > 0.2 > 0.05 > bug.same(far).probability


def test_another_title_of_the_same_crash_is_the_same() -> None:
    one = crash(SYMBOLIZED.format("foo", "net/widget/a.c", 8))
    for title in one.alt_titles:
        assert "same_title" in compare(face_of(one), face_of_title(title)).terms


BUG = Bug(["general protection fault in widget_poke"])
STRANGER = "WARNING in gadget_turn"


def test_one_stranger_among_ten_is_noise_and_ten_are_the_bug_in_another_coat() -> None:
    one, ten = Shown(((STRANGER, 1),), 9, release=True), Shown(((STRANGER, 10),), release=True)
    assert BUG.holds(one).verdict == "good"
    assert "strangers only, in 1 of 10 runs" in BUG.holds(one).why
    assert BUG.holds(ten).verdict == "bad"
    assert "strangers only, in all of 10 runs" in BUG.holds(ten).why
    assert BUG.holds(one).evidence < 0 < BUG.holds(ten).evidence


def test_among_neighbours_ten_strangers_are_no_proof() -> None:
    assert BUG.holds(Shown(((STRANGER, 10),))).verdict != "bad"


def test_the_bug_in_one_run_is_the_bug() -> None:
    found = BUG.holds(Shown(((BUG.titles[0], 1), (STRANGER, 2)), 7))
    assert found.verdict == "bad"
    assert found.why == "same title, in 1 of 10 runs"


def test_a_stranger_in_the_runs_that_got_that_far_is_no_proof() -> None:
    assert BUG.holds(Shown(((STRANGER, 2),), 0, 8, release=True)).verdict != "bad"


def test_a_prior_moves_the_probability_by_its_odds() -> None:
    shown = Shown(((BUG.titles[0], 3),), 7)
    low, high = BUG.holds(shown, 0.1), BUG.holds(shown, 0.9)
    assert low.evidence == high.evidence
    odds = [found.probability / (1 - found.probability) for found in (low, high)]
    assert odds[1] / odds[0] == pytest.approx(81, rel=1e-6)


def test_runs_that_never_started_say_nothing() -> None:
    found = BUG.holds(Shown((), 0, 10), 0.3)
    assert (found.probability, found.verdict) == (0.3, "skip")
    assert BUG.holds(Shown((), 10)).verdict == "good"
    assert Bug([]).holds(Shown(((STRANGER, 10),))).verdict == "skip"


def test_every_coefficient_is_of_a_known_term() -> None:
    crashes = {"base", *WHERE, *STACKS, "function_unknown", "like_type", "harness"}
    assert set(coefficients().crash) == crashes
    assert set(coefficients().runs) == crashes - set(STACKS) | {"clean", "clean_weak", "all", "all_near", "failed"}


def test_the_examples_of_the_facts_hold() -> None:
    from firstbad.crash import likeness

    data = likeness.read_facts()
    for row in data["kin"]:
        assert row["why"]
        one, other = (face_of_title(title) for title in row["example"])
        assert one.type != other.type
        assert "like_type" in compare(one, other).terms
    assert likeness.is_harness(type_of(data["harness"]["example"]))
    one, other = (face_of_title(title) for title in data["watchdog"]["example"])
    assert "same_watchdog" in compare(one, other).terms


@pytest.mark.parametrize(
    "text", ["a" * 50_000, "/a" * 30_000, "x a/" * 20_000, "f+0x1/0x2 " * 9_000, "\0\x80%\n" * 9_000]
)
def test_hostile_reports_are_read_in_time(text: str) -> None:
    hostile = Report(
        title=text, alt_titles=(), type="", frame=text, frames=(text,) * 50, report=text, start=0, skip=0, end=0,
        corrupted=True, suppressed=False, panicked=False, executor="",
    )  # fmt: skip
    bug = Bug([text], [hostile])
    assert 0 < bug.same(hostile).probability < 1
    assert bug.holds(Shown(((hostile, 3), (text, 1)), 2)).verdict in ("good", "bad", "skip")


PLAIN = {"base": -1.0, "same_title": 4.0, "same_file": 2.0, "all": 3.0, "all_near": -3.5, "failed": -8.0}
GIVEN = Coefficients(
    crash={"base": 0.0},
    runs={**PLAIN, "clean": -6.0, "clean_weak": 1.5},
    clean=-2.0,
    prior=0.5,
    bad=0.75,
    good=0.25,
)


def odds(probability: float) -> float:
    return math.log(probability / (1 - probability))


def test_runs_are_weighed_by_the_sum_of_their_terms() -> None:
    """By hand, with coefficients of one's own: each term and each share of runs has its place in the sum."""
    bug = Bug([BUG.titles[0]], given=GIVEN)
    found = bug.holds(Shown(((BUG.titles[0], 1),), 3))
    assert found.evidence == pytest.approx(-1.0 + 4.0 - 6.0 * 3 / 4)
    assert odds(found.probability) == pytest.approx(found.evidence)
    assert found.verdict == "good"
    found = bug.holds(Shown(((BUG.titles[0], 2),)), 0.2)
    assert found.evidence == pytest.approx(-1.0 + 4.0 + 3.0)
    assert odds(found.probability) == pytest.approx(6.0 + odds(0.2))
    assert (found.verdict, found.why) == ("bad", "same title, in 2 of 2 runs")


def test_most_runs_of_several_have_to_crash_to_crash_everywhere() -> None:
    bug = Bug([BUG.titles[0]], given=GIVEN)

    def everywhere(crashed: int, clean: int, failed: int = 0) -> float:
        return bug.terms(Shown(((BUG.titles[0], crashed),), clean, failed))[0]["all"]

    assert [everywhere(n, 0) for n in (1, 2, 3)] == [0, 1, 1]
    assert [everywhere(3, 1), everywhere(3, 0, 2), everywhere(3, 0, 3), everywhere(3, 0, 4)] == [0, 1, 0, 0]


def test_terms_of_strangers_and_of_what_is_alike() -> None:
    bug = Bug([BUG.titles[0]], given=GIVEN)
    terms, why = bug.terms(Shown(((STRANGER, 3),), 0, 2))
    assert (terms["all"], terms["all_near"], terms["failed"]) == (1, 1, pytest.approx(2 / 5))
    assert "clean" not in terms
    assert why == "strangers only, in all of 3 runs: different function, different type"
    terms, why = bug.terms(Shown(((STRANGER, 3),), 1, 2, release=True))
    assert (terms["all"], terms["all_near"], terms["failed"]) == (0, 0, pytest.approx(2 / 6))
    assert why == "strangers only, in 3 of 4 runs: different function, different type"
    assert bug.terms(Shown(((STRANGER, 3),), release=True))[0]["all_near"] == 0
    terms, why = bug.terms(Shown(((STRANGER, 2), (BUG.titles[0], 1)), 1))
    assert (terms["same_title"], terms["clean"], terms["clean_weak"]) == (1, 1 / 4, 0)
    assert "failed" not in terms
    assert why == "same title, in 1 of 4 runs"


def test_clean_runs_say_more_where_the_crash_is_less_alike() -> None:
    bug = Bug([], [null_dereference("widget_poke")], GIVEN)
    terms, why = bug.terms(Shown(((protection_fault("widget_poke"), 1),), 3))
    assert place_of(bug.likeness(protection_fault("widget_poke"))) == "same_function"
    assert (terms["clean"], terms["clean_weak"]) == (3 / 4, 3 / 4)
    assert not set(terms) & set(STACKS)
    assert why.startswith("same guilty function")
    assert why.endswith(", in 1 of 4 runs")
    assert ", " in why.removesuffix(", in 1 of 4 runs"), "words that say in what else they are alike"


def test_of_two_crashes_that_are_as_alike_the_one_seen_more_often_counts() -> None:
    bug = Bug(["WARNING in widget_poke"], given=GIVEN)
    one, two = "WARNING in gadget_a", "KASAN: use-after-free Read in gadget_b"
    assert not place_of(bug.likeness(one))
    assert not place_of(bug.likeness(two))
    for often, seldom in ((one, two), (two, one)):
        terms, _ = bug.terms(Shown(((seldom, 1), (often, 2)), 1))
        own = bug.terms(Shown(((often, 3),), 1))[0]
        assert terms == own


def test_what_is_said_where_nothing_can_be() -> None:
    bug = Bug([BUG.titles[0]], given=GIVEN)
    assert bug.holds(Shown((), 0, 3), 0.3) == Finding(0.3, 0.0, "skip", "no run came to the reproducer")
    nobody = Bug([], given=GIVEN).holds(Shown(((STRANGER, 2),)), 0.4)
    assert nobody == Finding(0.4, 0.0, "skip", "nothing is known about the bug yet")
    clean = bug.holds(Shown((), 5))
    assert (clean.evidence, clean.verdict, clean.why) == (-2.0, "good", "no run crashed")
    assert odds(clean.probability) == pytest.approx(-2.0)
    assert bug.holds(Shown((), 5), 0.9).verdict == "skip", "clean runs alone never make a revision bad"
    assert bug.holds(Shown((), 5), 0.72).verdict == "skip"


def test_the_verdicts_begin_at_their_bounds() -> None:
    """A probability that is the bound itself counts: bad from .75 on, good up to .25."""
    bug = Bug([BUG.titles[0]], given=replace(GIVEN, runs={"base": 0.0}))
    crashed = Shown(((BUG.titles[0], 1),), 1)
    said = {prior: bug.holds(crashed, prior) for prior in (0.2, 0.25, 0.3, 0.7, 0.75, 0.8)}
    assert {prior: found.verdict for prior, found in said.items() if found.probability == prior or prior % 0.25} == {
        prior: "good" if prior <= 0.25 else "bad" if prior >= 0.75 else "skip"
        for prior, found in said.items()
        if found.probability == prior or prior % 0.25
    }
    exact = Bug([BUG.titles[0]], given=replace(GIVEN, runs={"base": 0.0}, bad=0.5, good=0.5))
    assert exact.holds(crashed, 0.5).verdict == "bad"
    assert exact.holds(Shown((), 1), 0.5).verdict == "good"
    level = Bug([BUG.titles[0]], given=replace(GIVEN, runs={"base": 0.0}, bad=0.6, good=0.5))
    assert level.holds(crashed, 0.5).verdict == "good"


def test_the_probability_of_one_crash_is_its_excess() -> None:
    """By hand: (r - 1) / (r + 1) with r = exp(evidence), never quite 0 or 1; and the words, and the evidence itself."""
    title = BUG.titles[0]

    def match(base: float, same: float, seen: str = title) -> tuple[float, str, float]:
        given = replace(GIVEN, crash={"base": base, "same_title": same, "like_type": 0.5})
        found = Bug([title], given=given).same(seen)
        return found.probability, found.why, found.evidence

    ratio = math.exp(1.5)
    assert match(-1.0, 2.0) == (pytest.approx((ratio - 1) / (ratio + 1)), "same title", 1.5)
    assert match(0.0, 30.0) == (0.995, "same title", 30.5)
    assert match(0.0, -30.0) == (0.005, "same title", -29.5)
    probability, why, evidence = match(-0.25, 2.0, STRANGER)
    assert (probability, evidence) == (0.005, -0.25)
    assert why == "different function, different type"
    unknown = Bug([], given=GIVEN).same(title)
    assert (unknown.probability, unknown.why, unknown.evidence) == (0.5, "nothing is known about the bug yet", 0.0)


def test_of_faces_that_meet_at_one_place_the_stack_decides() -> None:
    """And what has no stack in common is no better than what has."""
    seen = Face("WARNING in a_poke", "WARNING", function="a_poke", stack=("a_poke", "a_call", "a_ioctl", "x"))
    far = Face("KASAN: use-after-free in a_poke", "KASAN", function="a_poke", stack=("a_poke", "b", "c", "d"))
    near = replace(far, stack=("a_poke", "a_call", "a_ioctl", "d"))
    none = replace(far, stack=())
    assert {place_of(compare(face, seen)) for face in (far, near, none)} == {"same_function"}
    for order in ((far, near, none), (near, none, far), (none, far, near)):
        bug = Bug([])
        for face in order:
            bug.add(face)
        likest = min((compare(face, seen) for face in order), key=lambda found: -found.terms.get("same_stack", 0))
        assert likest.terms["same_stack"] == 0.75
        assert _best(bug, seen) == likest


def _best(bug: Bug, seen: Face) -> Likeness:
    with pytest.MonkeyPatch.context() as patch:  # a face that no report of a line or two would have
        patch.setattr("firstbad.crash.identity.face_of_title", lambda title: seen)
        return bug.likeness(seen.title)


def test_a_bug_that_never_tells_its_function_is_known_by_that_title() -> None:
    alone, beside = Bug([LOST]), Bug(["WARNING in widget_poke", LOST])
    assert place_of(alone.likeness(LOST)) == "same_title"
    assert alone.likeness(LOST).terms == {"same_title": 1.0, "like_type": 1.0}
    assert place_of(beside.likeness(LOST)) == "same_lost_title"
