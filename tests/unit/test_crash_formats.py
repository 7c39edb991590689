"""Every kind of oops in formats.toml proves itself by its own example."""

import re
import time

import pytest

from firstbad.crash.formats import Format, clean_title, impact, is_kind, load, type_of
from firstbad.crash.parse import first_sign, parse

FORMATS = load().formats


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.id)
def test_example_gives_its_title(form: Format) -> None:
    report = parse(form.example.lstrip("\n").encode())
    assert report is not None
    assert report.title == form.expect
    assert not report.corrupted


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.id)
def test_example_is_first_taken_by_its_own_format(form: Format) -> None:
    lines = [re.sub(r"^\[[ \d.]+\] ", "", line) for line in form.example.splitlines()]
    kinds = [kind.id for kind in map(load().begins, lines) if kind is not None]
    assert kinds
    assert kinds[0] == form.id


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.id)
def test_example_is_seen_live(form: Format) -> None:
    assert first_sign(form.example.encode())


def test_ids_are_unique() -> None:
    ids = [form.id for form in FORMATS]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("KASAN: slab-use-after-free Read in widget_read", "KASAN-USE-AFTER-FREE-READ"),
        ("KASAN: slab-out-of-bounds Write in widget_read", "KASAN-WRITE"),
        ("KASAN: something new in widget_read", "KASAN-UNKNOWN"),
        ("BUG: unable to handle kernel NULL pointer dereference in widget_read", "NULL-POINTER-DEREFERENCE"),
        ("general protection fault in widget_read", "DoS"),
        ("kernel panic: Fatal exception", "DoS"),
        ("WARNING in widget_read", "WARNING"),
        ("WARNING: refcount bug in widget_read", "REFCOUNT_WARNING"),
        ("WARNING: suspicious RCU usage in widget_read", "LOCKDEP"),
        ("INFO: task hung in widget_read", "HANG"),
        ("possible deadlock in widget_read", "LOCKDEP"),
        ("SYZFAIL: lost the executor", "SYZ_FAILURE"),
        ("nothing of the kind", "UNKNOWN"),
    ],
)
def test_type_of_title(title: str, kind: str) -> None:
    assert type_of(title) == kind


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("WARNING: page ffffea0000123480 is bad", "WARNING: page ADDR is bad"),
        ("WARNING: called from widget_do+0x12/0x34", "WARNING: called from widget_do"),
        ("WARNING: drivers/widget/a.c:77 broke", "WARNING: drivers/widget/a.c:LINE broke"),
        ("BUG: on CPU#3 now", "BUG: on CPU now"),
        ("kernel panic: unknown-block(8,1)", "kernel panic: unknown-block(NUM,NUM)"),
        ("a  b\tc\x07d", "a b cd"),
    ],
)
def test_clean_title(raw: str, clean: str) -> None:
    assert clean_title(raw) == clean
    assert clean_title(clean) == clean


def test_clean_title_is_bounded() -> None:
    assert len(clean_title("WARNING: " + "word " * 1000)) <= 120


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.id)
def test_start_pattern_is_cheap_on_an_endless_line(form: Format) -> None:
    found = next(filter(None, map(form.start.search, form.example.splitlines())))
    almost = found[0][:-1]
    begin = time.process_time()
    form.start.search(almost * (60_000 // len(almost)))
    assert time.process_time() - begin < 0.5  # a quadratic one needs seconds


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.id)
def test_words_are_part_of_the_line_that_begins(form: Format) -> None:
    line = next(line for line in form.example.splitlines() if form.start.search(line))
    assert any(word in line for word in form.words)


def test_impact_and_kinds() -> None:
    assert impact(["BUG: soft lockup in widget", "KASAN: use-after-free Write in widget"]) > impact(
        ["INFO: task hung in x"]
    )
    assert impact(["nothing of the kind"]) == -1
    assert is_kind("KASAN-READ", "KASAN")
    assert not is_kind("HANG", "KASAN")
