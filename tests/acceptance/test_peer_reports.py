"""Crash reports as kernel people read them, judged by a peer's table of consoles."""

import re

import pytest
from tests.support.crash_cases import cases, judge, shares, table

from firstbad.crash import impact, injected_fault, is_kind, parse, truncate
from firstbad.crash.formats import type_of


def test_reports_are_read_as_the_table_says() -> None:
    judged = [(case["name"], judge(case)) for case in cases("report_cases.jsonl")]
    found = shares([fields for _, fields in judged])
    for name, share in found.items():
        missed = [case for case, fields in judged if not fields.get(name, True)]
        print(f"{name}: {100 * share:.2f}%", *missed)
    assert min(found[name] for name in ("crash", "title", "type", "corrupted", "suppressed", "panicked")) >= 0.99
    assert min(found[name] for name in ("alternative titles", "frame", "executor", "position")) >= 0.98


def test_types_of_titles() -> None:
    rules = table("crash_types.json")["title_prefix_rules"]
    wrong = [
        (prefix, row["type"], type_of(prefix + " x"))
        for row in rules
        for prefix in row["prefixes"]
        if type_of(prefix + " x") != (row["type"] or "UNKNOWN")
    ]
    assert wrong == []


def test_groups_of_types() -> None:
    data = table("crash_types.json")
    for group, members in data["groups"].items():
        name = re.sub(r"^Is", "", group)
        assert {t["shown_as"] for t in data["types"] if is_kind(t["shown_as"], name)} == set(members), group


def test_impact() -> None:
    data = table("crash_types.json")["impact"]
    order = data["order_most_severe_first"]
    for case in data["cases"]:
        assert impact(case["titles"]) == case["expect"]
    assert len(order) == impact(["KASAN: invalid-free in widget"])


def test_lines_that_the_user_ignores() -> None:
    data = table("symbolization_cases.json")["ignores"]
    for case in data["cases"]:
        report = parse(data["log"].encode("latin-1"), [re.compile(text) for text in case["ignores"]])
        assert (report.title if report else None) == case["title"]


def test_injected_faults() -> None:
    for case in table("symbolization_cases.json")["fault_injection"]:
        assert injected_fault(case["log"].encode("latin-1")) == case["expect"], case["name"]


def test_truncated_consoles() -> None:
    for case in table("report_misc_cases.json")["truncate"]:
        assert truncate(case["log"].encode("latin-1"), case["begin"], case["end"]).decode() == case["expect"]


@pytest.mark.parametrize("number", range(8))
def test_what_once_broke_a_reader(number: int) -> None:
    seeds = table("report_misc_cases.json")["fuzz_seeds_must_not_crash"]
    if number < len(seeds):
        parse(seeds[number].encode("latin-1"))
