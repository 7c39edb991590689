"""Who is told: the people a commit's message names, and those the script of a trusted tree names."""

import shutil
from pathlib import Path

import pytest

from firstbad.report.maintainers import (
    maintainers_of_commit,
    maintainers_of_file,
    parse_maintainers,
    recipients_of_commit,
)
from firstbad.report.maintainers_file import Maintainers
from firstbad.report.recipients import recipients

MESSAGE = """\
widget: check less

It checked too much.

Reported-by: Nobody Told <reporter@example.org>
Cc: stable@vger.kernel.org
Cc: Onlooker <cc@example.org>
Reviewed-by: Re Viewer <Re@Example.org>
Acked-by: <ack@example.org> # for the core
Reported-and-tested-by: both@example.org
Tested-by: not an address
Tested-by: stable@vger.kernel.org
Acked-by: Widget list <widget-devel@vger.kernel.org>
    Reviewed-by: Quoted <quoted@example.org>
Signed-off-by: A Developer <dev@example.org>
Signed-off-by: Main Tainer <main@example.org>
"""


def test_people_and_lists() -> None:
    to, cc = recipients(MESSAGE, "Dev@example.org")
    people = ["ack@example.org", "both@example.org", "dev@example.org", "main@example.org", "re@example.org"]
    assert to == [*people, "widget-devel@vger.kernel.org"]
    assert cc == []


def test_the_author_alone() -> None:
    assert recipients("", "dev@example.org") == (["dev@example.org"], [])
    assert recipients("", "broken") == ([], [])


OUTPUT = """\
Main Tainer <main@example.org> (maintainer:WIDGETS (DRIVERS, CORE)...)
"Sup Porter (Company)" <sup@example.org> (supporter:WIDGETS)
Re Viewer<re@example.org> (reviewer:WIDGETS)
widget-devel@lists.example.org (open list:WIDGETS)
linux-kernel@vger.kernel.org (open list)
no role here <lost@example.org>
nonsense (maintainer:X)
Cut Off <cut@example.org> (maintainer:WIDGETS WITH A LONG NAME (AND BRACKETS that ...)
"""


def test_roles() -> None:
    to, cc = parse_maintainers(OUTPUT)
    assert to == ["cut@example.org", "main@example.org", "sup@example.org", "widget-devel@lists.example.org"]
    assert cc == ["linux-kernel@vger.kernel.org", "re@example.org"]


def test_the_kernel_list_is_asked_where_there_is_no_other() -> None:
    to, cc = parse_maintainers("linux-kernel@vger.kernel.org (open list)\nA <a@example.org> (reviewer:X)\n")
    assert (to, cc) == (["linux-kernel@vger.kernel.org"], ["a@example.org"])
    assert parse_maintainers("") == ([], [])


def tree_with_script(directory: Path, script: str) -> Path:
    if shutil.which("perl") is None:
        pytest.skip("no perl on this machine")
    (directory / "scripts").mkdir()
    (directory / "scripts" / "get_maintainer.pl").write_text(script)
    (directory / "widget.c").write_text("")
    return directory


def test_the_trees_script_is_asked(tmp_path: Path) -> None:
    script = 'print "A <a\\@example.org> (maintainer:X)\\nB <b\\@example.org> (reviewer:@ARGV)\\n"; print <STDIN>;'
    tree = tree_with_script(tmp_path, script)
    assert maintainers_of_file(tree, "widget.c", trusted=True) == (["a@example.org"], ["b@example.org"])
    show = "C <c@example.org> (maintainer:from standard input)\n"
    assert maintainers_of_commit(tree, show, trusted=True) == (["a@example.org", "c@example.org"], ["b@example.org"])


def test_blame_is_asked_when_too_few_are_known(tmp_path: Path) -> None:
    script = 'print "A <a\\@example.org> (maintainer:X)\\n" if $ARGV[0] eq "--git-blame";'
    assert maintainers_of_file(tree_with_script(tmp_path, script), "widget.c", trusted=True) == (["a@example.org"], [])


@pytest.mark.parametrize("file", ["/etc/passwd", "../widget.c", "-f", "missing.c"])
def test_files_outside_the_tree_are_not_asked_for(tmp_path: Path, file: str) -> None:
    tree = tree_with_script(tmp_path, 'print "A <a\\@example.org> (maintainer:X)\\n";')
    assert maintainers_of_file(tree, file, trusted=True) == ([], [])


def test_a_tree_without_a_script_or_with_a_broken_one_names_nobody(tmp_path: Path) -> None:
    (tmp_path / "widget.c").write_text("")
    assert maintainers_of_file(tmp_path, "widget.c", trusted=True) == ([], [])
    assert maintainers_of_file(tree_with_script(tmp_path, "exit 3;"), "widget.c", trusted=True) == ([], [])


def test_a_script_that_hangs_is_left(tmp_path: Path) -> None:
    tree = tree_with_script(tmp_path, "sleep 60;")
    assert maintainers_of_file(tree, "widget.c", timeout=0.2, trusted=True) == ([], [])


def test_the_script_of_a_tree_that_nobody_trusts_is_not_run(tmp_path: Path) -> None:
    tree = tree_with_script(
        tmp_path, f'open(my $f, ">", "{tmp_path}/ran"); print "A <a\\@example.org> (maintainer:X)\\n";'
    )
    assert maintainers_of_file(tree, "widget.c") == ([], [])
    assert maintainers_of_commit(tree, "--- a/widget.c\n+++ b/widget.c\n") == ([], [])
    assert not (tmp_path / "ran").exists()
    assert maintainers_of_file(tree, "widget.c", trusted=True) == (["a@example.org"], [])
    assert (tmp_path / "ran").exists()


def test_the_script_sees_nothing_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "sesame")
    script = 'print join("+", sort keys %ENV) . "\\@example.org (maintainer:X)\\n";'
    assert maintainers_of_file(tree_with_script(tmp_path, script), "widget.c", trusted=True) == (
        ["home+lc_all+path@example.org"],
        [],
    )


def test_maintainers_are_asked_when_the_message_names_few(tmp_path: Path) -> None:
    (tmp_path / "MAINTAINERS").write_text("WIDGETS\nM:\tMain <main@example.org>\nS:\tMaintained\nF:\twidget.c\n")
    show = "--- a/widget.c\n+++ b/widget.c\n"
    few = recipients_of_commit("x\n\nSigned-off-by: D <dev@example.org>", "dev@example.org", tmp_path, show)
    assert few == (["dev@example.org", "main@example.org"], [])
    many = recipients_of_commit(MESSAGE, "dev@example.org", tmp_path, show)
    assert many == recipients(MESSAGE, "dev@example.org")


def test_maintainers_read_from_git_say_the_same() -> None:
    known = Maintainers.parse(
        "WIDGETS\nM:\tMain <old@example.org>\nS:\tMaintained\nF:\twidget.c\n",
        "Main <main@example.org> <old@example.org>\n",
    )
    show = "--- a/widget.c\n+++ b/widget.c\n"
    few = recipients_of_commit("x", "dev@example.org", known, show)
    assert few == (["dev@example.org", "main@example.org"], [])
    assert recipients_of_commit("x", "dev@example.org", None, show) == (["dev@example.org"], [])
