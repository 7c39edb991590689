"""Compilers by release: our own table, clang's arguments, and where compilers are looked for."""

import pytest

from firstbad.errors import NotFoundError
from firstbad.kernel import data
from firstbad.kernel.buildlog import plain_compiler
from firstbad.kernel.toolchain import candidates, choose, llvm_make, oldest, package_of, releases_of

RULES = data.load("toolchains.toml")["toolchain"]


def test_our_table():
    assert len({rule["name"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule["family"] in ("gcc", "clang")
        assert rule["why"]
        assert rule["package"].split()[0] == rule["cc"]
        assert rule["name"] == rule["cc"]
        if rule["family"] == "clang" and rule["name"] != "clang":
            assert rule["name"] == f"clang-{rule['version']}"
        low, high = rule.get("from", "v2.6"), rule.get("below", "v99.0")
        assert data.version_of(low) < data.version_of(high)
        assert releases_of(rule)
    for version in ((4, 4, 0), (5, 4, 0), (5, 10, 0), (5, 15, 0), (6, 1, 0), (6, 12, 0), (7, 3, 0)):
        assert candidates(version), "some gcc builds every release"
        if version >= (5, 10, 0):
            assert candidates(version, "clang"), "and some clang every one since v5.10"
    assert [rule["name"] for rule in candidates((4, 14, 0))][:1] == ["gcc-8"]
    assert "gcc-5" not in [rule["name"] for rule in candidates((6, 16, 0))]
    assert "clang-14" not in [rule["name"] for rule in candidates((6, 18, 0), "clang")]


def test_clang_by_release():
    rule = next(rule for rule in RULES if rule["name"] == "clang-16")
    assert llvm_make(rule, "clang-16", (6, 1, 0)) == ["LLVM=-16"]
    assert llvm_make(rule, "/opt/clang-16/bin/clang", (5, 18, 0)) == ["LLVM=/opt/clang-16/bin/"]
    older = llvm_make(rule, "clang-16", (5, 15, 7))
    assert older[:3] == ["LLVM=1", "LD=ld.lld-16", "AR=llvm-ar-16"]
    assert "LD=/opt/bin/ld.lld" in llvm_make(rule, "/opt/bin/clang", (5, 10, 0))
    assert llvm_make(rule, "clang-16", (5, 4, 0)) == []
    plain = next(rule for rule in RULES if rule["name"] == "clang")
    assert llvm_make(plain, "clang", (6, 1, 0)) == llvm_make(plain, "clang", (5, 10, 0)) == ["LLVM=1"]


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("gcc-12 (Debian 12.2.0-14) 12.2.0", "gcc (Debian 12.2.0-14) 12.2.0"),
        ("gcc (GCC) 10.2.1 20210217", "gcc (GCC) 10.2.1 20210217"),
        ("aarch64-linux-gnu-gcc-12 (Debian 12.2.0-14) 12.2.0", "aarch64-linux-gnu-gcc (Debian 12.2.0-14) 12.2.0"),
        ("Debian clang version 16.0.6 (15~deb12u1)", "Debian clang version 16.0.6 (15~deb12u1)"),
    ],
)
def test_identity_is_the_compilers_and_not_the_commands(said, found):
    assert plain_compiler(said) == found


def compiler(path, line):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{line}'\n")
    path.chmod(0o755)


def test_directories_of_compilers(tmp_path, monkeypatch):
    """As they are unpacked (gcc-8/bin/gcc), and loose; one on PATH comes first; cross compilers have a prefix."""
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(NotFoundError, match="apt-get install gcc-8"):
        choose((4, 14, 0), dirs=[tmp_path])
    compiler(tmp_path / "gcc-8/bin/gcc", "gcc (GCC) 8.1.0")
    found = choose((4, 14, 0), dirs=[tmp_path])
    assert (found.name, found.cc, found.identity) == ("gcc-8", str(tmp_path / "gcc-8/bin/gcc"), "gcc (GCC) 8.1.0")
    compiler(tmp_path / "loose" / "gcc-8", "gcc-8 (Loose) 8.3.0")
    assert choose((4, 14, 0), dirs=[tmp_path / "loose"]).identity == "gcc (Loose) 8.3.0"
    compiler(tmp_path / "path" / "gcc-8", "gcc-8 (Path) 8.4.0")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert choose((4, 14, 0), dirs=[tmp_path]).cc == "gcc-8"
    compiler(tmp_path / "gcc-8/bin/aarch64-linux-gnu-gcc", "aarch64-linux-gnu-gcc (GCC) 8.1.0")
    cross = choose((4, 14, 0), arch="arm64", dirs=[tmp_path])
    assert cross.make == ("ARCH=arm64", f"CROSS_COMPILE={tmp_path}/gcc-8/bin/aarch64-linux-gnu-")
    assert cross.hostcc == "gcc-8"
    compiler(tmp_path / "clang-14/bin/clang", "clang version 14.0.6")
    clang = choose((5, 10, 0), "clang", "arm64", [tmp_path])
    assert clang.name == "clang-14"
    assert "CROSS_COMPILE=aarch64-linux-gnu-" in clang.make
    assert f"LD={tmp_path}/clang-14/bin/ld.lld" in clang.make
    assert oldest("clang", dirs=[tmp_path]) == (5, 10, 0)


def test_packages():
    rule = next(rule for rule in RULES if rule["name"] == "gcc-12")
    assert package_of(rule) == "gcc-12"
    assert package_of(rule, "riscv64") == "gcc-12-riscv64-linux-gnu"
    with pytest.raises(NotFoundError, match="known: gcc-12"):
        choose((6, 1, 0), "tcc")
