"""Is this crash the bug we hunt?"""

from firstbad.crash.identity import Bug
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
    bug = Bug(["WARNING in __x64_sys_widget"])
    assert bug.same(crash("WARNING: CPU: 0 PID: 1 at a.c:1 __do_sys_widget+0x1/0x2\n")).probability > 0.95


def test_a_warning_elsewhere_is_not_the_bug() -> None:
    bug = Bug([], [protection_fault("widget_poke")])
    match = bug.same(WARNING_ELSEWHERE)
    assert match.probability < 0.1
    assert match.why == "different function, nothing of the stack shared, different type"


def test_the_test_machinery_is_not_the_bug_unless_it_is() -> None:
    failure = crash("SYZFAIL: no answer\n")
    assert Bug([], [protection_fault("widget_poke")]).same(failure).probability < 0.05
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
    assert "function" not in bug.same(torn).why
