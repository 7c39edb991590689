"""A bisection log that was made up for the audit."""

from firstbad.report.log import read_log

BUG, OTHER = "KASAN: use-after-free Read in widget_poke", "SYZFAIL: no answer"
REPORT = """BUG: KASAN: use-after-free in widget_poke+0x1/0x20 drivers/widget/poke.c:7
Read of size 8 at addr ffff888012345678 by task a/1
Call Trace:
 widget_poke+0x1/0x20 drivers/widget/poke.c:7
 widget_ioctl+0x1/0x20 drivers/widget/core.c:9
"""


def commit(number: int) -> str:
    return f"{number:040x}"


def revision(number: int, outcome: str | list[str], mark: str = "", release: str = "") -> str:
    lines = [f"testing release {release}"] if release else []
    lines.append(f"testing commit {commit(number)} with gcc (GCC) 10.2.1")
    if isinstance(outcome, str):
        lines.append(f"all runs: {outcome}")
    else:
        lines += [f"run #{i}: {text}" for i, text in enumerate(outcome)]
    if mark:
        lines.append(f"# git bisect {mark} {commit(number)}")
    return "\n".join(lines)


def log(*tests: str, files: str = "drivers/widget/poke.c", title: str = BUG, named: int = 4, merge: bool = False):
    text = "\n".join(
        [
            f"bisecting cause commit starting from {commit(1)}",
            *tests,
            f"{commit(named)} is the first bad commit",
            f"commit {commit(named)}",
            *(["Merge: aaaa bbbb"] if merge else []),
            "Author: A <a@example.org>",
            "Date:   Tue Dec 15 20:56:41 2020 +0000",
            "",
            "    widget: poke harder",
            "",
            f" {files} | 4 ++--",
            " 1 file changed, 2 insertions(+), 2 deletions(-)",
            "",
            f"culprit signature: {'a' * 64}",
            f"parent  signature: {'b' * 64}",
            "revisions tested: 4, total time: 1h0m0s (build: 30m0s, test: 20m0s)",
            f"first bad commit: {commit(named)} widget: poke harder",
            'recipients (to): ["a@example.org"]',
            f"crash: {title}",
            REPORT,
        ]
    )
    return read_log(text)


def start_line() -> str:
    return f"# git bisect start {commit(1)} {commit(2)}"


RIGHT = (
    revision(1, f"crashed: {BUG}"),
    revision(2, "OK", release="v5.1"),
    start_line(),
    revision(3, "OK", "good"),
    revision(4, f"crashed: {BUG}", "bad"),
)
ASTRAY = (
    revision(1, f"crashed: {BUG}"),
    revision(2, "OK", release="v5.1"),
    start_line(),
    revision(3, "OK", "good"),
    revision(4, [f"crashed: {OTHER}", *["OK"] * 9], "bad"),
)
