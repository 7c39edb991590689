"""Where functions lie in a built kernel; the file is made by the real compiler and linker."""

import subprocess
from pathlib import Path

import pytest

from firstbad.kernel.functions import TEXT, functions

ONE = """
__attribute__((noinline)) static int twice(int a) { __asm__ volatile(""); return a + 1; }
int outer(int a) { return twice(a); }
int xouter(int a) { return a; }
__asm__(".text\\n.type split.part.0,@function\\nsplit.part.0:\\nret\\n");
__asm__(".text\\n.type split.cold,@function\\nsplit.cold:\\nret\\n");
int outer_data = 1;
"""
TWO = """
__attribute__((noinline)) static int twice(int a) { __asm__ volatile(""); return a + 2; }
int other(int a) { return twice(a); }
int _stext(void) { return 0; }
"""


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("elf")
    (place / "one.c").write_text(ONE)
    (place / "two.c").write_text(TWO)
    command = ["gcc", "-O1", "-nostdlib", "-static", "-Wl,-e,0", "one.c", "two.c", "-o", "vmlinux"]
    subprocess.run(command, cwd=place, check=True, capture_output=True)
    return place / "vmlinux"


def names(linked: Path) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for line in subprocess.run(["nm", linked], capture_output=True, text=True, check=True).stdout.splitlines():
        address, _, name = line.split()
        found.setdefault(name, []).append(int(address, 16))
    return found


def test_functions_by_name_only(linked: Path) -> None:
    found = functions(linked, ["outer", "outer_data", "nothing", "uter", TEXT])
    assert found == {"outer": tuple(names(linked)["outer"]), TEXT: tuple(names(linked)[TEXT])}


def test_the_copies_of_a_function_are_it_its_cold_part_is_not(linked: Path) -> None:
    assert functions(linked, ["split"]) == {"split": tuple(names(linked)["split.part.0"])}


def test_static_functions_of_one_name_are_told_apart_by_their_file(linked: Path) -> None:
    both = functions(linked, ["twice"])["twice"]
    assert sorted(both) == sorted(names(linked)["twice"])
    one = functions(linked, ["twice"], {"twice": "lib/one.c"})["twice"]
    two = functions(linked, ["twice"], {"twice": "lib/two.c"})["twice"]
    assert {*one, *two} == set(both)
    assert len(one) == len(two) == 1
    assert functions(linked, ["twice"], {"twice": "lib/three.c"})["twice"] == both


def test_what_is_no_kernel_has_no_functions(tmp_path: Path) -> None:
    for data in (b"", b"\x7fELF\2\1\1" + bytes(57), b"text"):
        (tmp_path / "vmlinux").write_bytes(data)
        assert functions(tmp_path / "vmlinux", ["outer"]) == {}
    assert functions(tmp_path / "nothing", ["outer"]) == {}
