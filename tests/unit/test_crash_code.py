"""`Code:` lines: which are understood, what their instructions are."""

import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbad.crash.code import Code, CodeFormat, by_machine, code_format, find_code, formats, parse_code
from firstbad.crash.disassemble import DISASSEMBLY, decoded, disassemble, tools
from firstbad.errors import UserError

X86 = code_format("x86_64")


@pytest.mark.parametrize("how", formats().values(), ids=formats().keys())
def test_samples(how: CodeFormat) -> None:
    code = parse_code(how.sample, how)
    assert code is not None
    marked = bytes.fromhex(how.marked)
    assert code.data[code.offset :].startswith(marked)
    assert by_machine(how.machine, how.bits, how.big) == how


@pytest.mark.parametrize(
    "numbers",
    [
        "", "Bad RIP value.", "0f 0b 5d", "<0f> 0b <5d>", "<0f) 0b", "<0f 0b", "0f> 0b", "<0f>  0b", "<0f> 0",
        "<0f> xyz", "<0f0b> 5d", "<0f0b5d> 5dc300", "<0f0b5dc3c3c3c3c3>", "Unable to access opcode bytes at 0x400fd6.",
        "<0f> " * 400,
    ],
)  # fmt: skip
def test_what_is_no_dump(numbers: str) -> None:
    assert parse_code(numbers, X86) is None


def test_numbers_of_several_bytes_are_in_the_order_of_the_machine() -> None:
    assert parse_code("0b0f <c35d>", X86) == Code(b"\x0f\x0b\x5d\xc3", 2)
    assert parse_code("0f0b (5dc3)", code_format("s390x")) == Code(b"\x0f\x0b\x5d\xc3", 2)
    assert parse_code("4620 (de02)", code_format("arm")) == Code(b"\x20\x46\x02\xde", 2, thumb=True)
    assert parse_code("4620 (de02)", code_format("aarch64")) is None


def test_the_kernels_own_code_comes_first() -> None:
    report = "RIP: 0033:0x4010\nCode: 90 <90> 90\nRIP: 0010:f+0x3/0x9\n[ 1.0][ T1] Code: 55 <cc> \nCode: 90 <c3>\n"
    assert find_code(report, X86) == (Code(b"\x55\xcc", 1), "RIP: 0010:f+0x3/0x9")
    assert find_code(report[:34], X86) == (Code(b"\x90\x90\x90", 1), "")
    assert find_code("Code: Bad RIP value.\n", X86) == (None, "")


def test_unknown_architecture() -> None:
    with pytest.raises(UserError, match="x86_64"):
        decoded("", "pdp11")


@pytest.fixture
def _disassembler() -> None:
    if not tools("x86_64"):
        pytest.skip("neither objdump nor llvm-objdump is installed")


@pytest.mark.usefixtures("_disassembler")
def test_the_trap_is_marked() -> None:
    lines = decoded("Code: 48 89 e5 <0f> 0b 5d c3\n", "x86_64").splitlines()
    assert lines[0] == DISASSEMBLY
    assert [line.split(": ")[0] for line in lines[1:]] == ["    0", "*   3", "    5", "    6"]
    assert "mov" in lines[1]
    assert lines[2].endswith("ud2 <-- trapping instruction")
    assert sum("trapping" in line for line in lines) == 1


@pytest.mark.usefixtures("_disassembler")
def test_a_dump_that_begins_within_an_instruction() -> None:
    # The tail of "movabs $0x...,%rax" would swallow the trap: "84 03 ... " is no start, "0f 84" two bytes before is.
    code = Code(bytes.fromhex("00480f84030000004889e50f0b"), 11)
    found = disassemble(code, X86)
    assert code.offset in {each.offset for each in found}
    assert b"".join(each.data for each in found) == code.data[found[0].offset :]


@pytest.mark.usefixtures("_disassembler")
def test_the_functions_start_tells_where_instructions_start() -> None:
    function = bytes.fromhex("554889e5e82e1eff0f31ff")  # push; mov; call; xor
    dump = function[5:] + bytes.fromhex("0f0b5d")
    numbers = [f"{byte:02x}" for byte in dump]
    numbers[6] = f"<{numbers[6]}>"
    report = f"RIP: 0010:f+0xb/0x20\nCode: {' '.join(numbers)}\n"
    lines = decoded(report, "x86_64", lambda line: function if "f+0xb" in line else b"").splitlines()
    assert lines[1] == "  (begins within an instruction; bytes left out: 4)"
    assert lines[2].startswith("    4: 31 ff")
    assert lines[3].startswith("*   6: 0f 0b")
    assert decoded(report + "\n".join(lines), "x86_64") == ""


@pytest.mark.parametrize("how", formats().values(), ids=formats().keys())
def test_every_architecture_has_a_disassembler(how: CodeFormat) -> None:
    if shutil.which("llvm-objdump") is None:
        pytest.skip("llvm-objdump is not installed")
    code = parse_code(how.sample, how)
    assert code is not None
    found = disassemble(code, how)
    assert code.offset in {each.offset for each in found}
    assert not any("unknown" in each.text for each in found)


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    parse_code(text, X86)
    find_code(f"Code: {text}\n", X86)
