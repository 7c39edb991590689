"""Kconfig reading and minimization against a peer's cases, all of them."""

import functools
import json
import math
import random

import pytest
from tests.support.peer import shared

from firstbad.kernel.dotconfig import read_config
from firstbad.kernel.kconfig import parse_kconfig
from firstbad.kernel.kconfig_expr import KconfigError, needs, parse_expr
from firstbad.kernel.minimize import Plan
from firstbad.kernel.slices import Enough, TooManyChunksError, minimize


@functools.cache
def table():
    return json.loads((shared() / "peer" / "kconfig_cases.json").read_text())


def lines(text: str) -> list[str]:
    return sorted(text.split("\n"))


@pytest.mark.parametrize("number", range(5))
def test_minimize(number):
    data = table()["minimize"]
    case = data["cases"][number]
    assert len(data["cases"]) == 5
    plan = Plan(parse_kconfig(data["kconfig"]), read_config(data["full"]), read_config(data["base"]))
    spec, asked = case["predicate_spec"], []

    def holds(candidate) -> bool:
        asked.append(candidate.text)
        values = read_config(candidate.text)
        if "const" in spec:
            return spec["const"]
        return all(values.get(name) == "y" for name in spec.get("all_yes", ())) and all(
            name in values for name in spec.get("all_set", ())
        )

    found = plan.minimize(holds)
    assert lines(found.text.strip()) == lines(case["expect"].strip())
    assert [lines(text.strip()) for text in asked] == [lines(call["config"].strip()) for call in case["peer_calls"]]


def test_parse():
    for text in table()["parse_kconfig"]:
        assert "FOO" in parse_kconfig(text).options
    with pytest.raises(KconfigError, match="Kconfig:2"):
        parse_kconfig("config A\n\tdepends on (B\n")


def test_selected_by():
    case = table()["selected_by"]
    tree = parse_kconfig(case["kconfig"])
    assert {name: sorted(tree.selected_by(name)) for name in case["expect"]} == case["expect"]


@pytest.mark.parametrize("number", range(7))
def test_expressions(number):
    assert len(table()["parse_expr"]) == 7
    case = table()["parse_expr"][number]
    if case["error"]:
        with pytest.raises(KconfigError):
            parse_expr(case["in"])
        return
    expr = parse_expr(case["in"])
    assert str(expr) == case["out"]
    if case["deps"]:
        assert sorted(needs(expr)) == case["deps"]
    assert parse_expr(f"{case['in']} if SOMETHING") == expr


@pytest.mark.parametrize("number", range(3))
def test_slices(number):
    case = table()["slice_minimize"]["cases"][number]
    everything = list(range(case["n"]))
    fixed = case.get("fixed", [])
    needed = everything if isinstance(case["needed"], str) else case["needed"]

    def holds(some: list[int]) -> bool:
        assert set(fixed) <= set(some)
        assert some == sorted(some)
        assert some != everything
        return set(needed) <= set(some)

    found = minimize(everything, holds, fixed=lambda item: item in fixed)
    assert found == (everything if case["expect"] == "all" else case["expect"])


def test_number_of_questions():
    rng = random.Random(1)
    for _ in range(3000):
        n = rng.randrange(50)
        needed = {item for item in range(n) if rng.random() < rng.choice((0.02, 0.1, 0.5))}
        asked = []
        found = minimize(list(range(n)), lambda some: asked.append(some) or needed <= set(some))  # noqa: B023
        assert set(found) == needed
        bound = 3 + 2 * len(needed) * (1 + math.floor(math.log2(n))) if n else 0
        assert len(asked) <= bound


def test_limits():
    """After the last question nothing more is left out; too many slices that stay are an error with a result."""
    for steps in range(1, 12):
        asked = []
        found = minimize(list(range(100)), lambda some: asked.append(some) or 70 in some, max_steps=steps)  # noqa: B023
        assert len(asked) <= steps
        assert 70 in found
        assert found == [item for item in range(100) if item in set(found)]
    # Too few questions to halve 100 elements down: as many slices as questions at first.
    first = []
    minimize(list(range(100)), lambda some: first.append(some) or False, max_steps=5)
    assert [len(some) for some in first] == [80] * 5
    with pytest.raises(TooManyChunksError) as error:
        minimize(list(range(100)), lambda some: {1, 30, 50, 70, 99} <= set(some), max_chunks=3)
    assert {1, 30, 50, 70, 99} <= set(error.value.result)
    assert len(error.value.result) < 100

    def once(some: list[int]) -> bool:
        if len(some) < 60:
            raise Enough
        return True

    assert len(minimize(list(range(100)), once)) == 66
