"""Our own reader of MAINTAINERS: every kind of entry, patterns, status, keywords; hostile files end in time."""

import time
from pathlib import Path

import pytest

from firstbad.history.titles import canonical_title, fix_tags
from firstbad.report.maintainers import maintainers_of_commit, maintainers_of_file
from firstbad.report.maintainers_file import Maintainers, Person, parse_sections
from firstbad.report.patterns import safe_regex, split_alternatives

FILE = """\
List of maintainers
===================

	M: *Mail* patches to: FullName <address@domain>
	F: *Files* and directories wildcard patterns.

WIDGETS
M:	Main Tainer <main@example.org>
R:	"Re, Viewer" <re@example.org>
L:	widget-devel@lists.example.org (moderated for non-subscribers)
L:	widget-users@lists.example.org (subscribers-only)
S:	Supported
W:	https://example.org
F:	drivers/widget/
F:	include/linux/widget*.h
X:	drivers/widget/old/

# a comment, and a blank line within a section

OLD WIDGETS
M:	Main Tainer <main@example.org>
M:	Odd Fixer <odd@example.org>
S:	Odd Fixes
F:	drivers/widget/old
F:	drivers/widget/v?.[ch]

GADGETS WITH A NAME SO LONG THAT NO ROLE CAN SHOW ALL OF IT
M:	A <a@example.org>, B <b@example.org>
R:	Main Tainer <main@example.org>
S:	Orphan
N:	gadget
K:	\\bgadget_(get|put)\\b
K:	spline|reticulate

THE REST
M:	Linus Torvalds <torvalds@linux-foundation.org>
L:	linux-kernel@vger.kernel.org
S:	Buried alive in reporters
F:	*
F:	*/
"""
REST = "linux-kernel@vger.kernel.org"
LIST = "widget-devel@lists.example.org"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "drivers" / "widget" / "old").mkdir(parents=True)
    (tmp_path / "MAINTAINERS").write_text(FILE)
    return tmp_path


def test_a_subsystem(tree: Path) -> None:
    assert maintainers_of_file(tree, "drivers/widget/core.c") == (["main@example.org", LIST], [REST, "re@example.org"])
    assert maintainers_of_file(tree, "include/linux/widgets.h") == (
        ["main@example.org", LIST],
        [REST, "re@example.org"],
    )
    assert maintainers_of_file(tree, "include/linux/sub/widgets.h") == ([REST], [])
    assert maintainers_of_file(tree, "drivers/other.c") == ([REST], [])


def test_exceptions_directories_without_slash_and_status(tree: Path) -> None:
    # The exception keeps the other section's list out; odd fixers are only told.
    assert maintainers_of_file(tree, "drivers/widget/old/x.c") == ([REST], ["main@example.org", "odd@example.org"])
    (tree / "drivers" / "widget" / "old").rmdir()
    assert maintainers_of_file(tree, "drivers/widget/old/x.c") == ([REST], [])


def test_roles_and_names(tree: Path) -> None:
    known = Maintainers.read(tree)
    assert known is not None
    assert known.of_file("drivers/widget/v2.c") == [
        # One character or class of them is as specific as the directory is not.
        Person("Main Tainer", "main@example.org", "odd fixer:OLD WIDGETS"),
        Person("Odd Fixer", "odd@example.org", "odd fixer:OLD WIDGETS"),
        Person("Re, Viewer", "re@example.org", "reviewer:WIDGETS"),
        Person("", LIST, "moderated list:WIDGETS"),
        Person("", REST, "open list"),
    ]
    long = "GADGETS WITH A NAME SO LONG THAT NO ROLE CAN SH..."
    assert known.of_file("lib/gadgets.c") == [
        Person("A", "a@example.org", f"orphan minder:{long}"),
        Person("B", "b@example.org", f"orphan minder:{long}"),
        Person("Main Tainer", "main@example.org", f"reviewer:{long}"),
        Person("", REST, "open list"),
    ]


def patch(file: str, line: str, message: str = "change it") -> str:
    return (
        f"commit 0123\nAuthor: X <x@example.org>\n\n    {message}\n\n"
        f"diff --git a/{file} b/{file}\n--- a/{file}\n+++ b/{file}\n@@ -1,2 +1,2 @@ f\n{line}\n"
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (patch("lib/x.c", "+ gadget_get(g);"), True),
        (patch("lib/x.c", "- gadget_put(g);"), True),
        (patch("lib/x.c", "  gadget_get(g);"), False),
        (patch("lib/x.c", "+ gadget_getter(g);"), False),
        (patch("lib/x.c", "  reticulate();"), True),  # as the script reads it: only the first alternative is bound
        (patch("lib/x.c", "  spline();"), False),
        (patch("lib/x.c", " x", message="use gadget_get"), True),
        (patch("lib/gadget.c", " x"), True),
        ("", False),
    ],
)
def test_keywords_of_patches(tree: Path, text: str, told: bool) -> None:
    _, cc = maintainers_of_commit(tree, text)
    assert ("a@example.org" in cc) == told


def test_files_of_patches(tree: Path) -> None:
    both = patch("drivers/widget/a.c", "+ x") + "rename from lib/gadget.c\nrename to lib/new.c\n"
    to, cc = maintainers_of_commit(tree, both)
    assert to == ["main@example.org", LIST]
    assert cc == ["a@example.org", "b@example.org", REST, "re@example.org"]


def test_mailmap(tree: Path) -> None:
    (tree / ".mailmap").write_text(
        "# moved\nMain Tainer <new@example.org> <main@example.org>\n<re2@example.org> <re@example.org>\n"
        "Odd <odd2@example.org> Odd Fixer <odd@example.org>\nJust A Name <a@example.org>\n"
    )
    assert maintainers_of_file(tree, "drivers/widget/core.c") == (["new@example.org", LIST], [REST, "re2@example.org"])
    assert "odd2@example.org" in maintainers_of_file(tree, "drivers/widget/old/x.c")[1]


def test_bindings_name_their_maintainers_themselves(tree: Path) -> None:
    (tree / "x.yaml").write_text("maintainers:\n  - Some One <one@example.org>\n  - Main Tainer <other@example.org>\n")
    assert maintainers_of_file(tree, "x.yaml") == ([REST], ["one@example.org", "other@example.org"])


def test_equally_specific_sections_the_maintainer_counts() -> None:
    text = "A\nR:\tX <x@example.org>\nS:\tMaintained\nF:\ta/\n\nB\nM:\tX <x@example.org>\nS:\tMaintained\nF:\ta/\n"
    (person,) = Maintainers(parse_sections(text)).of_file("a/b.c")
    assert person.role == "maintainer:B"


def test_trees_without_the_file(tmp_path: Path) -> None:
    assert maintainers_of_file(tmp_path, "a.c") == ([], [])
    assert maintainers_of_file(tmp_path / "missing", "a.c") == ([], [])
    (tmp_path / "MAINTAINERS").mkdir()
    assert maintainers_of_file(tmp_path, "a.c") == ([], [])


@pytest.mark.parametrize(
    "text", ["\0" * 1000, "M:", "M:\t<<<@>>>@", "X\nF:\t[\nN:\t(\nK:\t[\nM:\t@\n", "F:\t*\n" * 1000, "\n\n"]
)
def test_any_text_is_accepted(text: str) -> None:
    known = Maintainers(parse_sections(text), text)
    known.of_file("a/b.c")
    known.of_patch(patch("a/b.c", "+ x"))


def test_hostile_patterns_end_in_time() -> None:
    evil = [
        "(a+)+$",
        "(a|a)*$",
        "(a|aa)+$",
        "a?" * 40 + "a" * 40,
        r"(.*)*\1",
        ".*.*.*.*.*=",
        "(?=(a+))b",
        "((a{1,9}){1,9}){1,9}",
    ]
    entries = "".join(f"N:\t{each}\nK:\t{each}\n" for each in evil)
    stars = "".join(f"F:\t{'*a' * count}b\n" for count in (10, 100, 900))
    known = Maintainers(parse_sections(f"X\nM:\tX <x@example.org>\n{entries}{stars}"))
    begin = time.monotonic()
    assert known.of_file("a" * 5000) == []
    known.of_patch(patch("a", "+" + "a" * 5000) * 20, seconds=5)
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize(
    "pattern", ["(a+)+", "(a|b)*", r"(a)\1", "(?=a)", "(?<!a)b", "a # b", "(" * 30, "a**", "a?" * 40, "x" * 600]
)
def test_patterns_refused(pattern: str) -> None:
    assert safe_regex(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"\b(?i:clang|llvm)\b", "Clang"),
        ("(?i)clone3", "CLONE3"),
        (r"(devm_)?gpio_(un)?register", "gpio_register"),
        (r"[^a-z]tegra", "-tegra"),
        ("[]x)(+*]+y", "])(y"),
        ("foo bar", "foobar"),  # blanks mean nothing
        (r"^.*/vdso/[^/]*random[^/]+$", "arch/x/vdso/getrandom.c"),
        ("bcm[-_]nsp", "bcm_nsp"),
    ],
)
def test_patterns_understood(pattern: str, text: str) -> None:
    made = safe_regex(pattern)
    assert made is not None
    assert made.search(text)


def test_alternatives() -> None:
    assert split_alternatives("a|b|c") == ("a", "b|c")
    assert split_alternatives(r"(a|b)[|]\|c") == (r"(a|b)[|]\|c", "")


def test_titles_and_tags() -> None:
    assert canonical_title("  UPSTREAM: BACKPORT: x: y ") == "BACKPORT: x: y"
    message = (
        "x\n\nReported-by: bot+12@example.org, bot+34@example.org\nTested-by: <bot+56@example.org>\n"
        "bot+78@example.org.evil\n"
    )
    assert fix_tags(message, "bot@example.org") == ["12", "56"]
