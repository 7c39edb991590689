"""The demo's history: edits, shape, determinism. No kernel is built here; the source package is used if it is there."""

import random
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstbad.demo import find_source, make_demo
from firstbad.demo.edits import Edit, Hunk, fitting, load_bugs, load_pool, release_edit
from firstbad.demo.history import Contents, People
from firstbad.demo.plan import RELEASES, Plan, fair, make_plan
from firstbad.demo.source import Trim
from firstbad.errors import NotFoundError, UserError

SEEDS = range(1, 13)
SPECIAL = ("a", "b", "c", "d", "d-fix", "g", "g-fix", "build", "build-fix", "boot", "boot-fix")


@pytest.fixture(scope="module")
def pool() -> list[Edit]:
    return load_pool()


@pytest.fixture(scope="module", params=SEEDS)
def plan(request: pytest.FixtureRequest, pool: list[Edit]) -> Plan:
    return make_plan(pool, request.param)


def source_of(pool: list[Edit], bugs: dict[str, Edit]) -> dict[str, str]:
    """A miniature tree that holds every anchor once."""
    texts: dict[str, list[str]] = {"Makefile": ["PATCHLEVEL = 12\nSUBLEVEL = 99\nNAME = X\n"]}
    for edit in [*pool, *bugs.values()]:
        broken = [hunk.new for hunk in bugs[edit.fixes].hunks] if edit.fixes else []
        for hunk in edit.hunks:
            if hunk.old is not None and not any(hunk.old in new for new in broken):
                texts.setdefault(hunk.file, []).append(f"/* {len(texts)} */\n{hunk.old}\n")
    return {file: "".join(parts) for file, parts in texts.items()}


def test_counts_of_the_pool(pool: list[Edit]) -> None:
    assert sum(edit.compiled for edit in pool) >= 60
    assert sum(not edit.compiled for edit in pool) >= 20
    assert len({edit.subject for edit in pool}) == len(pool)
    assert set(load_bugs()) == set(SPECIAL)


@given(order=st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_edits_apply_in_any_order(order: random.Random) -> None:
    pool, bugs = load_pool(), load_bugs()
    first = [edit for edit in [*pool, *bugs.values()] if edit.fixes is None]
    texts = source_of(pool, bugs)
    result = dict(texts)
    for edit in order.sample(first, len(first)):
        for file in edit.files:
            result[file] = edit.apply(file, result.get(file))
    expected = dict(texts)
    for edit in first:
        for file in edit.files:
            expected[file] = edit.apply(file, expected.get(file))
    assert result == expected


def test_fixes_apply_after_what_they_fix() -> None:
    bugs = load_bugs()
    texts = source_of([], bugs)
    fixes = [edit for edit in bugs.values() if edit.fixes]
    assert {edit.fixes for edit in fixes} == {"d", "g", "build", "boot"}
    for fix in fixes:
        broken = bugs[fix.fixes or ""]
        for file in dict.fromkeys([*broken.files, *fix.files]):
            text = broken.apply(file, texts.get(file)) if file in broken.files else texts[file]
            changed = fix.apply(file, text) if file in fix.files else text
            assert changed != text or file not in fix.files


@pytest.mark.parametrize("text", [None, "", "twice twice"])
def test_an_anchor_stands_exactly_once(text: str | None) -> None:
    edit = Edit("e", "s", "", (Hunk("f.c", "twice", "new"),))
    with pytest.raises(UserError, match=r"f\.c"):
        edit.apply("f.c", text)
    assert fitting([edit], {} if text is None else {"f.c": text}) == []


def test_release_sets_the_version() -> None:
    text = release_edit(14).apply("Makefile", "VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 117\nNAME = Baby\n")
    assert "PATCHLEVEL = 14\nSUBLEVEL = 0\n" in text
    with pytest.raises(UserError):
        release_edit(14).apply("Makefile", "nothing\n")


def test_history_has_the_promised_shape(plan: Plan, pool: list[Edit]) -> None:
    compiled = {edit.ident for edit in pool if edit.compiled}
    assert len(plan.nodes) >= 120
    assert len(plan.tags) == RELEASES >= 5
    assert sum(node.edit in compiled for node in plan.nodes) >= 60
    assert sum(node.edit is not None and node.edit.startswith("uncompiled") for node in plan.nodes) >= 20
    merges = [node for node in plan.nodes if node.kind == "merge"]
    assert len(merges) >= 10
    assert any(node.onto for node in merges), "some topics go through a maintainer's branch"
    assert {node.edit for node in plan.nodes if node.edit} >= {edit.ident for edit in pool} | set(SPECIAL)


def test_parents_come_first_and_mainline_is_the_first_parent_line(plan: Plan) -> None:
    assert all(parent < node.number for node in plan.nodes for parent in node.parents)
    for before, after in zip(plan.mainline, plan.mainline[1:], strict=False):
        assert plan.nodes[after - 1].parents[0] == before
    assert set(plan.tags.values()) <= set(plan.mainline)
    assert plan.holds(plan.head, 0)
    assert all(plan.holds(plan.head, node.number) for node in plan.nodes), "no commit is left unmerged"


def test_history_is_fair(plan: Plan) -> None:
    assert fair(plan)
    assert all(plan.shows(plan.head, bug) for bug in "abc")
    assert not any(plan.shows(plan.head, bug) for bug in ("d", "g", "build", "boot"))
    assert plan.holds(plan.where["g-fix"], plan.where["g"])
    assert any(plan.shows(number, "g") for number in plan.tags.values())
    for bug in ("build", "boot"):
        stretch = [number for number in plan.mainline if number and plan.shows(number, bug)]
        assert 5 <= len(stretch) <= 8
        assert all(plan.nodes[number - 1].kind == "edit" for number in stretch)


def test_seeds_differ_and_repeat(pool: list[Edit]) -> None:
    plans = [make_plan(pool, seed) for seed in SEEDS]
    assert make_plan(pool, 1).nodes == plans[0].nodes
    places = {tuple(plan.where[bug] for bug in SPECIAL) for plan in plans}
    assert len(places) == len(plans)
    order = {tuple(sorted("abc", key=lambda bug: plan.where[bug])) for plan in plans}
    assert len(order) > 2


def test_contents_follow_the_graph(pool: list[Edit]) -> None:
    bugs = load_bugs()
    texts = source_of(pool, bugs)
    plan = make_plan(pool, 1)
    releases = [release_edit(13 + number) for number in range(RELEASES)]
    edits = {edit.ident: edit for edit in [*pool, *bugs.values(), *releases]}
    contents = Contents(plan, edits, texts.get)
    for node in plan.nodes:
        changed = contents.changed(node)
        if node.kind == "merge":
            assert "Makefile" not in changed or plan.nodes[node.parents[0] - 1].kind != "release"
        elif node.edit:
            assert set(changed) == set(edits[node.edit].files)
    state = {}
    for number in plan.mainline[1:]:
        state.update(contents.changed(plan.nodes[number - 1]))
    assert "sigev_notify & ~" in state["kernel/time/posix-timers.c"]
    assert "if (p->mm)" in state["fs/proc/tasksum.c"]
    assert "PATCHLEVEL = 18" in state["Makefile"]


def test_everybody_is_invented() -> None:
    people = People()
    for file in ("fs/pipe.c", "mm/slub.c", "kernel/sys.c", "kernel/time/timer.c", "sound/core/init.c", "x"):
        assert people.area(file).maintainer.email.endswith("example.org")
    assert all(author.email.endswith("example.org") for author in people.authors)


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("Makefile", True),
        ("fs/pipe.c", True),
        ("fs/btrfs/inode.c", False),
        ("fs/btrfs/Kconfig", True),
        ("drivers/tty/serial/8250/8250_core.c", True),
        ("drivers/gpu/drm/drm_file.c", False),
        ("scripts/get_maintainer.pl", True),
        ("include/linux/fs.h", True),
        ("lib/test_xarray.c", False),
    ],
)
def test_trim(path: str, kept: bool) -> None:
    assert Trim.load()(path) is kept


def test_missing_source_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="apt-get install linux-source"):
        find_source(tmp_path)
    newest = tmp_path / "linux-source-6.12.tar.xz"
    newest.touch()
    assert find_source(tmp_path) == newest


@pytest.mark.kernel
def test_two_calls_make_the_same_repository(tmp_path: Path) -> None:
    try:
        source = find_source()
    except NotFoundError as error:
        pytest.skip(str(error))
    one = make_demo(tmp_path / "one", 1, source=source)
    two = make_demo(tmp_path / "two", 1, source=source)
    again = make_demo(tmp_path / "one", 1, source=tmp_path / "not needed any more")
    assert one == again
    assert {name: case.start for name, case in one.cases.items()} == {
        name: case.start for name, case in two.cases.items()
    }
    count = subprocess.run(
        ["git", "-C", str(one.repo), "rev-list", "--count", "HEAD"], capture_output=True, text=True, check=True
    )
    assert int(count.stdout) == one.commits >= 120
    assert not [path for path in (tmp_path / "one").iterdir() if path.name.startswith("making-")]
