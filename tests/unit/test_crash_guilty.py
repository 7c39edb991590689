"""Which file a report blames: every entry of guilty.toml proves itself by its own example."""

import re
import time

import pytest

from firstbad.crash.guilty import Place, generic_rank, guilty_file, load_data, places

DATA = load_data()
WIDGET = " widget_poke+0x1/0x20 drivers/widget/core.c:10\n"


@pytest.mark.parametrize("entry", DATA["generic"], ids=lambda entry: entry["example"].split()[0])
def test_generic_files_are_not_blamed_when_a_driver_is_there(entry: dict) -> None:
    title = entry.get("titles", [""])[0]
    (place,) = places(entry["example"])
    assert generic_rank(place.file, place.function, title) == entry["rank"]
    assert guilty_file(title, f"Call Trace:\n{entry['example']}\n{WIDGET}") == "drivers/widget/core.c"
    assert entry["why"]


def test_unwinders_are_to_blame_for_their_own_faults() -> None:
    report = " unwind_next_frame+0x1/0x2 arch/x86/kernel/unwind_orc.c:607\n" + WIDGET
    assert guilty_file("KASAN: stack-out-of-bounds Read in x", report) == "arch/x86/kernel/unwind_orc.c"
    assert guilty_file("INFO: rcu detected stall in widget_poke", report) == "drivers/widget/core.c"


@pytest.mark.parametrize("entry", DATA["begin"], ids=lambda entry: entry["titles"][0])
def test_some_kinds_begin_elsewhere(entry: dict) -> None:
    title = f"{entry['titles'][0]} in something"
    assert guilty_file(title, entry["example"].lstrip("\n")) == entry["expect"]
    assert guilty_file("WARNING in something", entry["example"].lstrip("\n")) != entry["expect"]


@pytest.mark.parametrize("entry", DATA["aside"], ids=lambda entry: entry["why"])
def test_lines_aside_blame_nobody(entry: dict) -> None:
    assert list(places(entry["example"]))
    assert re.search(entry["line"], entry["example"])
    assert guilty_file("", f"{entry['example']}\n{WIDGET}") == "drivers/widget/core.c"


@pytest.mark.parametrize("title", [title for entry in DATA["nobody"] for title in entry["titles"]])
def test_nobody_is_blamed_for_a_machine_that_went_away(title: str) -> None:
    assert guilty_file(title, WIDGET) == ""
    assert guilty_file("WARNING in widget_poke", WIDGET) == "drivers/widget/core.c"


def test_the_first_file_is_blamed_inlined_or_not() -> None:
    report = (
        "BUG: KASAN: slab-use-after-free in list_add include/linux/list.h:78 [inline]\n"
        "BUG: KASAN: slab-use-after-free in gadget_add drivers/gadget/list.c:7 [inline]\n"
        "BUG: KASAN: slab-use-after-free in gadget_new+0x12/0x34 drivers/gadget/core.c:9\n"
        "Call Trace:\n" + WIDGET
    )
    assert guilty_file("KASAN: slab-use-after-free in gadget_new", report) == "drivers/gadget/list.c"


def test_what_ran_before_the_oops_is_not_blamed() -> None:
    before = " gadget_new+0x12/0x34 drivers/gadget/core.c:9\n"
    oops = "WARNING: CPU: 1 PID: 7 at drivers/widget/core.c:10 widget_poke+0x1/0x20 drivers/widget/core.c:10\n"
    assert guilty_file("WARNING in widget_poke", before + oops) == "drivers/widget/core.c"


def test_if_all_are_generic_the_one_nearest_to_a_subsystem_is_blamed() -> None:
    report = (
        "BUG: unable to handle page fault for address: ffff888000000000\n"
        "RIP: 0010:__lock_acquire+0x1/0x2 kernel/locking/lockdep.c:5\n"
        "Call Trace:\n lock_acquire+0x1/0x2 kernel/locking/lockdep.c:9\n kfree+0x1/0x2 mm/slub.c:7\n"
        " __fput+0x1/0x2 fs/file_table.c:5\n do_exit+0x1/0x2 kernel/exit.c:3\n"
    )
    assert guilty_file("BUG: unable to handle kernel paging request in __lock_acquire", report) == "fs/file_table.c"


def test_a_report_that_is_not_symbolized_blames_nobody() -> None:
    report = (
        "WARNING: CPU: 0 PID: 1 at lib/refcount.c:28 refcount_warn_saturate+0x1d1/0x1e0\n"
        "Call Trace:\n gadget_new+0x12/0x34\n widget_poke+0x1/0x20\n"
    )
    assert guilty_file("WARNING: refcount bug in gadget_new", report) == ""


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (" foo+0x1/0x2 net/core/x.c:12", [Place("net/core/x.c", "foo")]),
        (" foo.isra.0.cold+0x1/0x2 net/core/x.c:12", [Place("net/core/x.c", "foo")]),
        (" foo net/core/x.c:12 [inline]", [Place("net/core/x.c", "foo")]),
        (" foo+0x1/0x2 mm/x.c:12 mm/x.c:12", [Place("mm/x.c", "foo")] * 2),
        ("(foo) from [<80469ba0>] (bar+0x44c/0x584 net/x.c:31)", [Place("net/x.c", "bar")]),
        (" f+0x1/0x2 arch/x86/kvm/../../../virt/kvm/kvm_main.c:2", [Place("virt/kvm/kvm_main.c", "f")]),
        (" f+0x1/0x2 ./include/linux/list.h:2", [Place("include/linux/list.h", "f")]),
        (" f+0x1/0x2 /usr/src/linux/net/core/x.c:2", [Place("net/core/x.c", "f")]),
        (" f+0x1/0x2 /home/me/kernel/net/core/x.c:2", [Place("net/core/x.c", "f")]),
        (" f+0x1/0x2 /home/me/linux/kernel/fork.c:2", [Place("kernel/fork.c", "f")]),
        ("widget: assertion failed at firmware/main.c:2", []),
        (" f+0x1/0x2 ../net/core/x.c:2", []),
        ("net.c:2 x.c", []),
        ("Linux version 6.1.0 (gcc 12.2.0)", []),
    ],
)
def test_files_in_a_line(line: str, found: list[Place]) -> None:
    assert list(places(line)) == found


def test_hostile_text_takes_no_longer_than_other_text() -> None:
    evil = [
        "a/" * 500_000 + ".c:1",
        ".c:1" * 250_000,
        "net/x.c:" * 100_000,
        " " * 1_000_000,
        "\n" * 1_000_000,
        "(" * 10**6,
    ]
    begin = time.monotonic()
    for text in evil:
        guilty_file("INFO: rcu detected stall in x", f"BUG: x\n{text}")
    assert time.monotonic() - begin < 10
