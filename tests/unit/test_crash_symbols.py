"""Source lines for stack frames: the text rules with a made-up table, the lookup with a real ELF file."""

import shutil
import subprocess
from pathlib import Path

import pytest

from firstbad.crash.symbols import Place, annotate, symbolize
from firstbad.errors import NotFoundError, UserError

TABLE = {
    ("widget", 0x10, True): [Place("widget", "w.c", 10)],
    ("widget", 0x10, False): [Place("widget", "w.c", 9)],
    ("gadget", 0x10, False): [Place("helper", "h.h", 1), Place("inner", "i.h", 2), Place("gadget", "g.c", 3)],
}


def lookup(name: str, offset: int, size: int, exact: bool) -> list[Place]:
    return TABLE.get((name, offset, exact), [])


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
    stripped = [line for line in text.splitlines() if "[inline]" not in line]
    assert [line.split(" w.c:")[0] for line in stripped] == report.splitlines()


def test_an_offset_beyond_the_function_stays(program: Path) -> None:
    line = " widget+0xfffff/0x40\n"
    assert symbolize(line, program) == line


def test_files_that_are_no_kernel(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such kernel"):
        symbolize("", tmp_path / "vmlinux")
    (tmp_path / "bzImage").write_bytes(b"MZ not an ELF file")
    with pytest.raises(UserError, match="vmlinux"):
        symbolize("", tmp_path / "bzImage")
