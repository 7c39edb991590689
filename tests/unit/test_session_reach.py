"""What says that a clean run came near the crash's code; the same of real kernels in tests/acceptance/test_reach.py."""

import subprocess
from concurrent.futures import Future
from dataclasses import replace

import pytest
from tests.support.histories import History
from tests.support.lab import OOPS, Lab
from tests.unit.test_session import bisect, job_for, place  # noqa: F401 - fixture

from firstbad.crash import Bug, parse
from firstbad.history.git import Repo
from firstbad.kernel.artifacts import Built
from firstbad.session import bisection_log
from firstbad.session.aim import Aim, Aims
from firstbad.session.outcome import Run
from firstbad.session.reach import Stack, from_event, in_order, probed, reach_line, reached, stack_of
from firstbad.session.source import Source
from firstbad.session.state import State, apply
from firstbad.session.state import Test as Tested
from firstbad.store import Event
from firstbad.vm import MachineRun

CONSOLE = OOPS.replace("FUNC_caller+0x10/0x20", "vfs_thing+0x10/0x20\n[    1.1]  kmalloc_thing+0x1/0x2").replace(
    "do_syscall_64", "__x64_sys_timer_create+0x3/0x4\n[    1.2]  do_syscall_64"
)
SYMBOLIZED = """ RIP: 0010:twice.part.0+0x1f/0x40 fs/a.c:7
 inner include/linux/b.h:3 [inline]
 vfs_thing+0x10/0x20 fs/b.c:12
 __x64_sys_timer_create+0x3/0x4 kernel/time/c.c:9
"""


def stack(frames: list[str], guilty: str = "twice", text: str = SYMBOLIZED) -> Stack:
    report = parse(CONSOLE.replace("FUNC", "twice").encode())
    return stack_of(replace(report, frames=tuple(frames), frame=guilty), text)


def test_the_stack_begins_with_the_guilty_function_and_leaves_out_what_always_runs():
    found = stack_of(parse(CONSOLE.replace("FUNC", "twice").encode()), SYMBOLIZED)
    assert found.functions == ("twice", "vfs_thing", "__x64_sys_timer_create")
    assert found.sources == {
        "twice": "fs/a.c",
        "vfs_thing": "fs/b.c",
        "__x64_sys_timer_create": "kernel/time/c.c",
    }


def test_a_guilty_function_is_known_by_its_short_name_and_kept_even_if_it_always_runs():
    assert stack(["kfree", "__x64_sys_nothing", "outer"], "sys_nothing").functions == ("__x64_sys_nothing", "outer")
    assert stack(["exit_mmap", "mmput", "do_exit"], "exit_mmap").functions == ("exit_mmap",)
    assert stack([], "") == Stack()


def test_of_a_long_stack_the_outermost_stays():
    names = [f"f{i}" for i in range(30)]
    assert stack(names, "f0").functions == (*names[:7], "f29")


def test_a_bug_that_crashes_anywhere_has_no_stack():
    report = parse(CONSOLE.replace("FUNC", "twice").encode())
    other = replace(report, frames=("elsewhere", "outer"))
    assert stack_of(report, "", [report, report, report, other]).functions[0] == "twice"
    assert stack_of(report, "", [report, other, report, other]) == Stack()


def test_a_stack_survives_the_event_log():
    found = stack(["twice", "vfs_thing"])
    assert from_event(found.to_event()) == found
    assert from_event(None) == from_event({"title": "old"}) == Stack()


def test_the_most_telling_first():
    assert in_order(["guilty", "caller", "x", "y", "outermost"]) == ["guilty", "caller", "outermost", "x", "y"]
    assert in_order(["guilty", "caller"]) == ["guilty", "caller"]
    assert in_order(["guilty"]) == ["guilty"]


@pytest.mark.parametrize(
    ("ran", "says"),
    [
        ({}, None),
        ({"guilty": True}, True),
        ({"guilty": True, "outer": True}, True),
        ({"guilty": False, "outer": False}, False),
        ({"guilty": False, "outer": True}, None),
        ({"outer": True}, True),
        ({"outer": False}, False),
    ],
)
def test_what_a_clean_run_says(ran, says):
    assert reached(ran, ["guilty", "outer"]) is says


@pytest.mark.parametrize(
    ("clean", "aim", "line"),
    [
        ([True, True], {}, "reach: 2 of 2 clean runs came to foo"),
        ([True, False], {}, "reach: 1 of 2 clean runs came to foo, 1 of 2 not even near foo"),
        ([False], {"why": "fs/a.c is not compiled"}, "reach: 1 of 1 not even near foo: fs/a.c is not compiled"),
        (["absent"], {"why": "the source has no foo"}, "reach: absent: the source has no foo"),
        ([None], {"why": "the kernel's symbols are not known"}, "reach: unknown: the kernel's symbols are not known"),
        ([None], {}, "reach: unknown: foo did not run, a function on the way there did"),
        ([], {}, ""),
    ],
)
def test_the_line_of_the_log(clean, aim, line):
    runs = [Run("ok", reached=one) for one in clean] + [Run("crash", "title")]
    assert reach_line({"functions": ["foo", "bar"], **aim}, runs) == line


@pytest.mark.parametrize(
    ("heard", "away", "says"),
    [
        ([True], [], True),
        ([False, True], [], True),
        ([False, False, False], [], False),
        ([False, None], [], None),
        ([None], ["socket fails"], False),
        ([True], ["socket fails"], None),
    ],
)
def test_what_the_probes_of_a_revision_say(heard, away, says):
    assert probed({"heard": heard, "away": away}) is says


def test_no_line_where_nothing_is_known():
    assert reach_line({}, [Run("ok", reached=True)]) == ""


# -- the source

BODY = """{
	struct thing *a = get(b);

	if (!a->ready)
		return -EINVAL;
	list_del(&a->list);
	a->ready = false;
	put(a);
	return 0;
}
"""
OTHER = "{\n\twhile (n--)\n\t\tprintk(message);\n\tgoto done;\n}\n"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The function's life: not there, under another name in another file, moved, renamed, crashing."""
    made = History(tmp_path_factory.mktemp("source") / "repo")
    made.commit("none", {"fs/b.c": f"int other(int n)\n{OTHER}"})
    made.commit("old", {"fs/old.c": f"int other_too(void)\n{OTHER}\nstatic int drop_thing(int b)\n{BODY}"})
    made.git("update-index", "--force-remove", "fs/old.c")
    made.commit("moved", {"fs/new.c": f"int other_too(void)\n{OTHER}\nstatic int drop_thing(int b)\n{BODY}"})
    made.git("read-tree", made.commits["moved"])
    made.git("update-index", "--force-remove", "fs/old.c")
    made.commits["moved"] = made.git("commit-tree", made.git("write-tree"), "-p", made.commits["old"], "-m", "moved")
    made.commit("renamed", {"fs/new.c": f"int other_too(void)\n{OTHER}\nstatic int remove_thing(int b)\n{BODY}"})
    calls = "SYSCALL_DEFINE2(thing_create, int, a, int, b)\n{\n\treturn remove_thing(a);\n}\n"
    made.commit("start", {"fs/call.c": calls})
    return made


def name_at(source: History, title: str, function: str, path: str = "fs/new.c") -> str | None:
    return Source(Repo(source.path), source.commits["start"]).name_at(source.commits[title], function, path)


def test_a_function_that_is_there(source):
    assert name_at(source, "renamed", "remove_thing") == "remove_thing"
    assert name_at(source, "renamed", "remove_thing", "") == "remove_thing"


def test_a_renamed_function_is_known_by_its_text_wherever_its_file_was(source):
    assert name_at(source, "moved", "remove_thing") == "drop_thing"
    assert name_at(source, "old", "remove_thing") == "drop_thing"


def test_a_function_that_is_not_there_yet(source):
    assert name_at(source, "none", "remove_thing") is None
    assert name_at(source, "renamed", "__x64_sys_thing_create", "fs/call.c") is None
    assert name_at(source, "start", "__do_sys_thing_create", "fs/call.c") == "__do_sys_thing_create"


def test_what_the_start_does_not_name_either_is_not_looked_for(source):
    assert name_at(source, "none", "made_by_a_macro") == "made_by_a_macro"


def test_names_are_whole_words(source):
    assert name_at(source, "none", "remove") == "remove"  # nowhere at the start
    assert name_at(source, "none", "other_too") is None


def test_the_files_of_a_function(source):
    looks = Source(Repo(source.path), source.commits["start"])
    start = source.commits["start"]
    assert looks.files_at(start, "remove_thing", "fs/new.c") == ["fs/new.c"]
    assert sorted(looks.files_at(start, "remove_thing")) == ["fs/call.c", "fs/new.c"]


# -- one revision's aim


def built(directory, compiled: str = "") -> Built:
    directory.mkdir(exist_ok=True)
    (directory / "compiled").write_text(compiled)
    return Built(f"key {directory.name}", directory, "signature", "gcc", 1.0)


def test_an_aim_says_what_is_known_before_a_run(source, tmp_path):
    aims = Aims(Repo(source.path), source.commits["start"])
    wanted = Stack(("remove_thing", "outer"), {"remove_thing": "fs/new.c"})
    compiled = frozenset({"fs/new.c", "fs/b.c"})

    def at(title: str, files: str) -> Aim:
        return aims.at(source.commits[title], built(tmp_path / title, files), wanted, compiled)

    assert at("none", "fs/b.c").verdict == "absent"
    assert at("renamed", "fs/b.c").verdict is False
    assert at("renamed", "fs/b.c").why == "fs/new.c is not compiled"
    assert at("start", "fs/new.c\nfs/b.c").verdict is None
    assert at("start", "fs/new.c\nfs/b.c").why == "the kernel's symbols are not known"


def test_a_list_that_never_had_the_file_says_nothing(source, tmp_path):
    aims = Aims(Repo(source.path), source.commits["start"])
    wanted = Stack(("remove_thing",), {"remove_thing": "fs/new.c"})
    aim = aims.at(source.commits["start"], built(tmp_path / "x", "fs/b.c"), wanted, frozenset({"fs/b.c"}))
    assert aim.verdict is None


def test_the_aim_has_the_older_name_and_the_addresses_of_the_kernel(source, tmp_path):
    (tmp_path / "k.c").write_text(
        "int drop_thing(int a) { return a; }\nint outer(void) { return 0; }\nint _stext(void) { return 0; }"
    )
    command = ["gcc", "-O1", "-nostdlib", "-static", "-Wl,-e,0", "k.c", "-o", "moved/vmlinux"]
    kernel = built(tmp_path / "moved", "fs/new.c")
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    wanted = Stack(("remove_thing", "gone", "outer"), {"remove_thing": "fs/new.c"})
    aim = Aims(Repo(source.path), source.commits["start"]).at(
        source.commits["moved"], kernel, wanted, frozenset({"fs/new.c"})
    )
    assert aim.functions == ("drop_thing", "outer")
    assert aim.watched is not None
    assert list(aim.watched.functions) == ["drop_thing", "outer"]
    run = MachineRun("finished", True, b"", 0, 1, 1, "")
    assert aim.reached(run) is None
    assert aim.reached(replace(run, ran={"drop_thing": False, "outer": False})) is False
    assert aim.reached(replace(run, ran={"drop_thing": True})) is True


# -- a session


def test_a_session_says_absent_before_the_code_exists(place, tmp_path):  # noqa: F811
    made = History(tmp_path / "repo")
    for number in range(12):
        text = "int demo_read(void)\n{\n\treturn 0;\n}\n" if number >= 7 else "int other;\n"
        made.commit(f"c{number}", {"fs/demo.c": f"{text}\n/* {number} */\n"})
    made.tag("v6.0", "c0")
    repo = Repo(made.path)
    lab = Lab(tmp_path, lambda commit: repo.is_ancestor(made.commits["c7"], commit))
    finished, store, number = bisect(place, job_for(made), lab)
    assert finished["commits"] == [made.commits["c7"]]
    runs = [event.data for event in store.events(number) if event.kind == "run" and event.data["outcome"] == "ok"]
    assert runs
    assert {run.get("reached") for run in runs} == {"absent"}
    text = bisection_log(store.job(number).job, store.events(number))
    assert "# firstbad: reach: absent: the source has no demo_read" in text
    other, store, number = bisect(place, job_for(made, reach=False), Lab(tmp_path, lab.has_bug))
    assert other["commits"] == finished["commits"]
    assert not [event for event in store.events(number) if event.kind == "aim" or "reached" in event.data]


class Traced(Lab):
    """Where the crash is seen a socket can be made; before ``c4`` not, and no function is known to have run."""

    def __init__(self, directory, has_bug, sockets) -> None:
        super().__init__(directory, has_bug)
        self.sockets = sockets

    def run(self, request):
        done = super().run(request)
        if "firstbad.trace=1" not in request.machine.append.split():
            return done
        commit = next(c for c in self.builds if request.console.name.startswith(c[:12]))
        error = 0 if self.sockets(commit) else 97
        traced: Future[MachineRun] = Future()
        traced.set_result(replace(done.result(), calls=frozenset({(41, "1f", error)})))
        return traced


def test_runs_whose_calls_can_not_work_say_nothing(place, tmp_path):  # noqa: F811
    made = History(tmp_path / "repo")
    for number in range(12):
        made.commit(f"c{number}", {"fs/demo.c": f"int demo_read(void)\n{{\n\treturn {number};\n}}\n"})
    made.tag("v6.0", "c0")
    made.tag("v6.1", "c6")
    repo = Repo(made.path)

    def has(title: str):
        return lambda commit: repo.is_ancestor(made.commits[title], commit)

    finished, store, number = bisect(place, job_for(made), Traced(tmp_path, has("c8"), has("c4")))
    assert finished["commits"] == [made.commits["c8"]]
    runs = [event.data for event in store.events(number) if event.kind == "run" and event.data["outcome"] == "ok"]
    before = [run.get("reached") for run in runs if not has("c4")(run["commit"])]
    after = [run.get("reached") for run in runs if has("c4")(run["commit"])]
    assert set(before) <= {False}
    assert set(after) == {None}
    probes = [event.data["commit"] for event in store.events(number) if event.kind == "probe"]
    assert len(probes) == len(set(probes)), "a revision is probed once"
    assert probes[0] == made.commits["c11"]
    if before:
        text = bisection_log(store.job(number).job, store.events(number))
        assert "(1f) fails with EAFNOSUPPORT" in text


def test_a_crash_without_the_watched_functions_ends_the_trust_in_them():
    state = State(tests=[Tested({"commit": "c", "phase": "search"})], bug=Bug(["title"]))

    def run(outcome: str, **more: object) -> None:
        data = {"commit": "c", "wall": 1, "boot_seconds": 1, "run_seconds": 2.0, "outcome": outcome, "title": "title"}
        apply(state, Event(0, 0.0, "run", {**data, "same": 1.0, "why": "", **more}))

    run("ok", reached=False)
    run("ok", reached=False, cut=True)
    run("ok", reached=True)
    tally = state.tally("c")
    assert (tally.clean, tally.cut, tally.reached, tally.unreached) == (1, [], 1, 2)
    run("crash", reached=True)
    assert not state.misled
    run("crash", reached=False)
    run("ok", reached=False)
    assert state.misled
    assert (tally.clean, tally.cut, tally.reached, tally.unreached, tally.crashes) == (3, [2.0], 0, 0, 2)
    assert {one.reached for one in state.tests[0].runs if one.outcome == "ok"} == {None}
    shown = state.shown("c")
    assert (shown.clean, shown.failed) == (4, 0)
