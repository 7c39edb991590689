"""Source lines, mangled names and `Code:` lines against the facts of a peer, judged by its own rules."""

import json
from typing import Any

import pytest
from tests.support import peer

from firstbad.crash.code import Code, code_format, parse_code
from firstbad.crash.demangle import demangle_text
from firstbad.crash.images import Image, Place, Symbol
from firstbad.crash.symbols import annotate, make_lookup

NAMES = {"amd64": "x86_64", "386": "i386", "arm64": "aarch64", "ppc64le": "ppc64le"}


def table() -> dict[str, Any]:
    return json.loads((peer.shared() / "peer" / "symbolization_cases.json").read_text())


class TableImage:
    """An image whose symbols and lines are those of the table."""

    def __init__(self, symbols: dict[str, list[dict[str, int]]], lines: dict[int, list[dict[str, Any]] | None]) -> None:
        self._symbols, self._lines = symbols, lines

    def symbols(self, name: str) -> list[Symbol]:
        return [Symbol(name, each["Addr"], each["Size"]) for each in self._symbols.get(name, [])]

    def holding(self, address: int) -> Symbol | None:
        return None

    def places(self, address: int) -> list[Place]:
        return [Place(each["func"], each["file"], each["line"]) for each in self._lines.get(address) or []]


def images(facts: dict[str, Any]) -> dict[str, Image]:
    files = {module["name"]: module["path"] for module in facts["modules"]}
    return {
        name: TableImage(symbols, {row["pc"]: row["frames"] for row in facts["addr2line"] if row["bin"] == files[name]})
        for name, symbols in facts["symbols"].items()
    }


def test_lines() -> None:
    facts = table()["lines"]
    known = images(facts)
    lookup = make_lookup(lambda name, _: known.get(name), facts["kernel_obj_dir"])
    wrong = [case for case in facts["cases"] if annotate(case["line"], lookup) != case["result"]]
    assert facts["cases"]
    assert not wrong


def test_opcodes() -> None:
    cases = table()["opcodes"]
    assert cases
    for case in cases:
        found = parse_code(case["input"], code_format(NAMES.get(case["arch"], case["arch"])))
        expected = case["expect"]
        if expected is None:
            assert found is None, case
        else:
            data = bytes.fromhex("".join(expected["bytes"]))
            assert found == Code(data, expected["offset"], expected["thumb"]), case


def test_mangled_names() -> None:
    """Every name of the expected reports is what demangling makes of the console's lines."""
    lines = (peer.shared() / "peer" / "symbolize_file_cases.jsonl").read_text().splitlines()
    cases = [json.loads(line) for line in lines]
    if not cases:
        pytest.skip("no cases")
    for case in cases:
        console = [line.partition("] ")[2].strip() for line in case["log"].split("\n")]
        shown = {demangle_text(line) for line in console}
        missing = [line for line in case["report"].split("\n") if line.strip() and line.strip() not in shown]
        assert not missing, case["name"]
