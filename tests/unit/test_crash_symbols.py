"""Source lines for stack frames: the text rules with a made-up table, the lookup with a real ELF file."""

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbad.crash.images import Symbol, module_files, open_kernel
from firstbad.crash.llvm import LlvmSymbolizer
from firstbad.crash.symbols import Found, Frame, Place, annotate, make_lookup, symbolize
from firstbad.errors import NotFoundError, UserError

TABLE = {
    ("widget", 0x10, True): [Place("widget", "w.c", 10)],
    ("widget", 0x10, False): [Place("widget", "w.c", 9)],
    ("gadget", 0x10, False): [Place("helper", "h.h", 1), Place("inner", "i.h", 2), Place("gadget", "g.c", 3)],
    ("", 0xFFFFFFFF81000010, True): [Place("widget", "w.c", 10)],
}


def lookup(frame: Frame) -> Found | None:
    name = f"{frame.function or 'widget'}+0x10/0x20"
    places = TABLE.get((frame.function, frame.offset, frame.exact), [])
    return Found(name, places) if frame.module in ("", "mod") else None


@pytest.mark.parametrize(
    ("line", "result"),
    [
        (" widget+0x10/0x20\n", " widget+0x10/0x20 w.c:9\n"),
        ("RIP: 0010:widget+0x10/0x20\n", "RIP: 0010:widget+0x10/0x20 w.c:10\n"),
        (" ? widget+0x10/0x20 \n", " ? widget+0x10/0x20 w.c:9 \n"),
        (
            " gadget+0x10/0x20\n",
            " helper h.h:1 [inline]\n inner i.h:2 [inline]\n gadget+0x10/0x20 g.c:3\n",
        ),
        (" widget+0x10/0x20 w.c:9\n", " widget+0x10/0x20 w.c:9\n"),
        (" unknown+0x10/0x20\n", " unknown+0x10/0x20\n"),
        (" widget+0x10/0x20 [module]\n", " widget+0x10/0x20 [module]\n"),
        (" widget+0x10/0x20 [mod]\n", " widget+0x10/0x20 w.c:9 [mod]\n"),
        (" widget+0x10/0x20 [mod 0123456789abcdef]\n", " widget+0x10/0x20 w.c:9 [mod]\n"),
        (" widget+0x10/0x20 (P)\n", " widget+0x10/0x20 w.c:9 (P)\n"),
        (" [c00] [c01] widget+0x10/0x20 (unreliable)\n", " [c00] [c01] widget+0x10/0x20 w.c:9 (unreliable)\n"),
        ("[<c01>] (foo) from [<c02>] (widget+0x10/0x20)\n", "[<c01>] (foo) from [<c02>] (widget+0x10/0x20 w.c:9)\n"),
        (" [<ffffffff81000010>] widget+0x10/0x20\n", " [<ffffffff81000010>] widget+0x10/0x20 w.c:9\n"),
        ("pc : widget+0x10/0x20\n", "pc : widget+0x10/0x20 w.c:10\n"),
        ("lr : widget+0x10/0x20\n", "lr : widget+0x10/0x20 w.c:9\n"),
        ("PC is at widget+0x10/0x20\n", "PC is at widget+0x10/0x20 w.c:10\n"),
        ("RIP: 0010:0xffffffff81000010\n", "RIP: 0010:widget+0x10/0x20 w.c:10\n"),
        ("RIP: 0033:0x4665d9\n", "RIP: 0033:0x4665d9\n"),
        (" 9widget+0x10/0x20\n", " 9widget+0x10/0x20\n"),
        (" +0x10/0x20\n", " +0x10/0x20\n"),
        (" widget+0xffffffffffffffffffff/0x20\n", " widget+0xffffffffffffffffffff/0x20\n"),
        ("Call Trace:\n", "Call Trace:\n"),
        ("x" * 5000 + " widget+0x10/0x20\n", "x" * 5000 + " widget+0x10/0x20\n"),
    ],
)
def test_annotate(line: str, result: str) -> None:
    assert annotate(line, lookup) == result


SOURCE = """\
volatile int sink;
static inline __attribute__((always_inline)) void helper(int x)
{
	sink += x;
	sink *= x;
}
__attribute__((noinline)) void widget(int x)
{
	helper(x + sink);
}
int main(void) { widget(3); return 0; }
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler on this machine")
    directory = tmp_path_factory.mktemp("symbols")
    (directory / "w.c").write_text(SOURCE)
    command = [compiler, "-g", "-O2", "-no-pie", "-o", str(directory / "w"), str(directory / "w.c")]
    subprocess.run(command, check=True)
    return directory / "w"


def test_symbolize_a_real_program(program: Path) -> None:
    report = "BUG: x\n" + "".join(f" widget+{offset:#x}/0x40\n" for offset in range(1, 24))
    text = symbolize(report, program, str(program.parent))
    assert "BUG: x\n" in text
    assert " helper w.c:5 [inline]\n widget+0x" in text
    assert " w.c:9\n" in text
    assert str(program.parent) not in text
    frames = [line for line in text.splitlines() if "[inline]" not in line]
    assert [line.split(" w.c:")[0] for line in frames] == report.splitlines()
    assert symbolize(text, program) == text


def test_an_offset_beyond_the_function_stays(program: Path) -> None:
    for offset in ("fffff", "f" * 16, "f" * 20):
        line = f" widget+0x{offset}/0x40\n"
        assert symbolize(line, program) == line


def widget(program: Path) -> Symbol:
    image, llvm = open_kernel(program)
    llvm.close()
    return image.symbols("widget")[0]


def test_addresses_without_names(program: Path) -> None:
    symbol = widget(program)
    line = f"RIP: 0010:{symbol.address + 4:#018x}\n"
    assert f"RIP: 0010:widget+0x4/{symbol.size:#x} " in symbolize(line, program)
    moved = f"RIP: 0010:{symbol.address + 0x1004:#018x}\nKernel Offset: 0x1000 from 0xffffffff81000000\n"
    assert f"RIP: 0010:widget+0x4/{symbol.size:#x} " in symbolize(moved, program)


def test_a_module(program: Path, tmp_path: Path) -> None:
    source = program.parent / "w.c"
    (tmp_path / "extra").mkdir()
    module = tmp_path / "extra" / "gad-get.ko"
    command = ["gcc", "-g", "-O2", "-ffunction-sections", "-c", "-o", str(module), str(source)]
    subprocess.run(command, check=True)
    assert module_files(tmp_path) == {"gad_get": module}
    (tmp_path / "broken.ko").write_bytes(b"\x7fELF" + bytes(60))
    line = " widget+0x7/0x40 [gad_get]\n"
    text = symbolize(line, program, str(program.parent), modules=tmp_path)
    assert " helper w.c:" in text
    assert text.endswith(" widget+0x7/0x40 w.c:9 [gad_get]\n")
    assert symbolize(line, program) == line
    for other in (" widget+0x7/0x40 [broken]\n", " widget+0x7/0x40 [../../w]\n", " nothing+0x7/0x40 [gad_get]\n"):
        assert symbolize(other, program, modules=tmp_path) == other
    with pytest.raises(NotFoundError, match="modules"):
        symbolize(line, program, modules=tmp_path / "none")


@pytest.mark.skipif(shutil.which("llvm-symbolizer") is None, reason="llvm-symbolizer is not installed")
def test_llvm_symbolizer_knows_what_drgn_knows(program: Path) -> None:
    image, llvm = open_kernel(program)
    symbol = image.symbols("widget")[0]
    with llvm:
        for address in range(symbol.address, symbol.address + symbol.size):
            assert [Place(*each) for each in llvm.ask(address)] == image.places(address)
        assert llvm.ask(0xDEAD0000) == []
    assert llvm.ask(symbol.address) == []


def test_it_is_asked_what_drgn_does_not_know(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstbad.crash.images.DrgnImage._from_drgn", lambda *_: [])
    monkeypatch.setattr(LlvmSymbolizer, "ask", lambda *_: [("widget", "far.c", 7)])
    assert symbolize(" widget+0x4/0x40\n", program) == " widget+0x4/0x40 far.c:7\n"


@pytest.mark.parametrize("behaviour", ["exec sleep 60", "exit 1", "echo w; echo nonsense; echo; read x", "exec yes x"])
def test_a_helper_that_misbehaves(tmp_path: Path, behaviour: str) -> None:
    tool = tmp_path / "tool"
    tool.write_text(f"#!/bin/sh\n{behaviour}\n")
    tool.chmod(0o755)
    begin = time.monotonic()
    with LlvmSymbolizer(tmp_path, 0.5, str(tool)) as helper:
        assert helper.ask(1) == []
        assert helper.ask(2) == []
    assert time.monotonic() - begin < 20


def test_a_helper_that_is_not_there(tmp_path: Path) -> None:
    assert LlvmSymbolizer(tmp_path, tool="no-such-tool").ask(1) == []


@pytest.mark.parametrize(
    "text",
    [
        "x" * 3_000_000,
        "a+0x1/0x2" * 300_000,
        "_R" * 1_000_000,
        (" " + "w" * 2000 + "\n") * 1500,
        (" f+0x1/0x2" + " " * 1500 + "x\n") * 1500,
        ("Code: " + "48 " * 500 + "\n") * 1500,
        "RIP: 0010:0x" + "f" * 16 + "\nKernel Offset: 0x" + "f" * 16 + " from\n",
        "\0\x85\u2028\r widget+0x4\udcff\n",
    ],
    ids=lambda text: repr(text[:12]),
)
def test_hostile_reports(program: Path, text: str) -> None:
    begin = time.process_time()
    assert symbolize(text, program) == text
    assert time.process_time() - begin < 5


@given(st.text(alphabet=" \t\nwidget+0x1/f[]()<>:RIP_$.é", max_size=120))
def test_any_line(text: str) -> None:
    known: Callable[[Frame], Found] = lambda frame: Found("f", [Place("f", "f.c", 1)])  # noqa: E731
    assert annotate(text, make_lookup(lambda *_: None)) == text
    annotate(text, known)


def test_files_that_are_no_kernel(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such kernel"):
        symbolize("", tmp_path / "vmlinux")
    (tmp_path / "bzImage").write_bytes(b"MZ not an ELF file")
    with pytest.raises(UserError, match="vmlinux"):
        symbolize("", tmp_path / "bzImage")
