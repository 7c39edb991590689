"""What a tree's files say of its options, and plans of minimization beyond a peer's cases (tests/acceptance)."""

import pytest
from tests.support.histories import History

from firstbad.history.git import Repo
from firstbad.kernel.dotconfig import read_config, switched_on, unset, write_config
from firstbad.kernel.kconfig import parse_kconfig
from firstbad.kernel.kconfig_expr import KconfigError
from firstbad.kernel.minimize import Plan
from firstbad.kernel.tree_options import deciding, options_of_files, read_kconfig

MAKEFILES = {
    "Makefile": "obj-y += kernel/\ncore-$(CONFIG_IPC) += ipc/\n",
    "kernel/Makefile": "obj-y = fork.o \\\n\ttime/\nobj-$(CONFIG_KEXEC) += kexec.o\n",
    "kernel/time/Makefile": """
obj-y += timer.o
ifeq ($(CONFIG_POSIX_TIMERS),y)
 obj-y += posix-timers.o
else
 obj-y += stubs.o
endif
ifneq ($(CONFIG_TINY),)
obj-y += tiny.o
endif
ifdef CONFIG_SMP
obj-$(CONFIG_TICK) += tick.o
endif
""",
    "ipc/Makefile": """
obj-$(CONFIG_SYSVIPC) += msg.o
obj-$(CONFIG_PARTS) += whole.o
whole-y := a.o
whole-$(CONFIG_MORE) += b.o deep/c.o
""",
}


@pytest.mark.parametrize(
    ("file", "options"),
    [
        ("kernel/fork.c", set()),
        ("kernel/kexec.c", {"KEXEC"}),
        ("kernel/time/timer.c", set()),
        ("kernel/time/posix-timers.c", {"POSIX_TIMERS"}),
        ("kernel/time/stubs.c", set()),
        ("kernel/time/tiny.c", {"TINY"}),
        ("kernel/time/tick.c", {"TICK", "SMP"}),
        ("ipc/msg.c", {"IPC", "SYSVIPC"}),
        ("ipc/a.c", {"IPC", "PARTS"}),
        ("ipc/b.c", {"IPC", "PARTS", "MORE"}),
        ("ipc/deep/c.c", {"IPC", "PARTS", "MORE"}),
        ("nowhere/x.c", set()),
    ],
)
def test_options_that_build_a_file(file, options):
    assert deciding(file, MAKEFILES.get) == options


def test_a_revisions_files(tmp_path):
    history = History(tmp_path / "repo")
    files = {
        "Kconfig": 'source "init/Kconfig"\nsource "arch/$(SRCARCH)/Kconfig"\nsource "missing/Kconfig"\n',
        "init/Kconfig": 'menu "General"\nconfig A\n\tbool "a"\nif A\nconfig B\n\tbool "b"\nendif\nendmenu\n',
        "arch/x86/Kconfig": 'config X\n\tdef_bool y\nconfig C\n\tbool "c" if X\n\tselect A\n',
        "arch/arm64/Kconfig": "config ARM\n\tdef_bool y\n",
    }
    history.commit("one", {**files, **MAKEFILES})
    repo, commit = Repo(history.path), history.commits["one"]
    tree = read_kconfig(repo, commit, "x86")
    assert set(tree.options) == {"A", "B", "C", "X"}
    assert tree.options["B"].menu == ("General",)
    assert tree.needs("B") == {"A"}
    assert tree.needs("C") == {"X"}
    assert tree.selected_by("A") == {"C"}
    assert not tree.options["X"].settable
    assert options_of_files(repo, commit, ["ipc/b.c", "kernel/kexec.c"]) == {"IPC", "PARTS", "MORE", "KEXEC"}
    history.commit("bad", {"init/Kconfig": "config A\n\tdepends on (\n"})
    with pytest.raises(KconfigError, match=r"^init/Kconfig:2: "):
        read_kconfig(repo, history.commits["bad"], "x86")


@pytest.mark.parametrize(
    "text",
    [
        'config A\n\tdepends on "x\n',
        "config A\n\tdepends on A &&\n",
        "config A\n\tdepends on " + "(" * 5000 + "\n",
        "config A\n\tdepends on " + "!" * 5000 + "A\n",
        "if A\n",
        "endmenu\n",
        "config\n",
        "config A B\n",
        "nonsense here\n",
        'source "Kconfig"\n',
        "config A\n\tdefault $(shell,\n\tdepends on $(x\n",
    ],
)
def test_what_is_no_kconfig(text):
    with pytest.raises(KconfigError, match=r"Kconfig"):
        parse_kconfig(text, read=lambda name: text)


KCONFIG = """
config NET
	bool "net"
choice
	prompt "model"
config ONE
	bool "one"
config TWO
	bool "two"
endchoice
config HIDDEN
	bool
config LEAF
	bool "leaf"
	depends on NET
config OTHER
	bool "other"
	select HIDDEN
"""


def plan(likely=(), full="NET ONE HIDDEN LEAF OTHER", base="TWO"):
    on = lambda names: dict.fromkeys(names.split(), "y")  # noqa: E731
    return Plan(parse_kconfig(KCONFIG), on(full), on(base), likely)


def test_leaves_are_what_can_be_set_and_what_nothing_depends_on():
    found = plan()
    assert found.added == {"NET", "ONE", "HIDDEN", "LEAF", "OTHER"}
    assert found.leaves == ["ONE", "LEAF", "OTHER"]


def test_one_of_a_choice_takes_the_others_place():
    assert switched_on(read_config(plan().candidate(["ONE"]).text)) == {"ONE"}
    assert switched_on(read_config(plan().candidate(["LEAF"]).text)) == {"TWO", "NET", "LEAF"}


def test_what_is_likely_is_tried_first_and_kept():
    asked = []

    def holds(candidate, needed):
        asked.append(set(candidate.options))
        return needed <= switched_on(read_config(candidate.text))

    found = plan({"NET", "ELSEWHERE"}).minimize(lambda candidate: holds(candidate, {"NET"}))
    assert (found.options, asked) == (("NET",), [{"NET"}])
    asked.clear()
    found = plan({"NET"}).minimize(lambda candidate: holds(candidate, {"NET", "OTHER"}))
    assert found.options == ("NET", "OTHER")
    assert asked[0] == {"NET"}
    assert all("NET" in options for options in asked)
    everything = plan({"NET"}).minimize(lambda _: False)
    assert everything == plan().whole()
    assert plan({"NET"}).minimize(lambda _: False, max_steps=1) == plan().whole()
    assert plan(base="NET ONE HIDDEN LEAF OTHER").minimize(lambda _: True).text == plan().whole().text


def test_texts_of_configurations():
    text = '# a comment\nCONFIG_A=y\nCONFIG_B="x y"\n# CONFIG_C is not set\nCONFIG_D=0x10\nCONFIG_A=m\n'
    values = read_config(text)
    assert values == {"B": '"x y"', "C": "n", "D": "0x10", "A": "m"}
    assert read_config(write_config(values)) == values
    assert read_config(unset(text, ["A", "E"])) == {**values, "A": "n"}
    assert unset(text, ["E"]) == text
