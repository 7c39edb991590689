"""Objects that an earlier build left are not of this build."""

from pathlib import Path

from firstbad.kernel.compiled import readers


def build(tmp_path: Path, files: dict[str, str]) -> tuple[Path, Path]:
    out, source = tmp_path / "out", tmp_path / "src"
    for name, text in files.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(text)
    return out, source


def reads(source: Path, *names: str) -> str:
    return "savedcmd_x := gcc\n\ndeps_x := \\\n" + "".join(f"  {source}/{name} \\\n" for name in names)


def archive(path: str, *members: str) -> str:
    return f'savedcmd_{path} := rm -f {path};  printf "fs/%s " {" ".join(members)} | xargs ar cDPrST {path}\n'


def test_an_object_counts_if_it_is_linked(tmp_path):
    source = tmp_path / "src"
    out, source = build(
        tmp_path,
        {
            ".built-in.a.cmd": archive("built-in.a", "fs/built-in.a", "lib/built-in.a"),
            "fs/.built-in.a.cmd": archive("fs/built-in.a", "open.o", "ext4.o", "proc/built-in.a"),
            "fs/.open.o.cmd": reads(source, "fs/open.c", "include/a.h"),
            "fs/.gone.o.cmd": reads(source, "fs/gone.c", "include/a.h"),
            "fs/.ext4.o.cmd": "cmd_fs/ext4.o := ld -r -o fs/ext4.o fs/balloc.o\n",
            "fs/.balloc.o.cmd": reads(source, "fs/balloc.c"),
            "fs/proc/.built-in.a.cmd": archive("fs/proc/built-in.a", "base.o"),
            "fs/proc/.base.o.cmd": reads(source, "fs/proc/base.c"),
            "fs/dropped/.built-in.a.cmd": archive("fs/dropped/built-in.a", "super.o", "deeper/built-in.a"),
            "fs/dropped/.super.o.cmd": reads(source, "fs/dropped/super.c"),
            "fs/dropped/deeper/.built-in.a.cmd": archive("fs/dropped/deeper/built-in.a", "more.o"),
            "fs/dropped/deeper/.more.o.cmd": reads(source, "fs/dropped/deeper/more.c"),
        },
    )
    objects, counts = readers(out, source)
    assert set(counts) == {"fs/open.c", "include/a.h", "fs/balloc.c", "fs/proc/base.c"}
    assert counts["include/a.h"] == 1
    assert objects == 4


def test_where_it_can_t_be_told_it_counts(tmp_path):
    """Boot code, vdso and libraries are linked by rules of their own; older trees name their archives in no list."""
    source = tmp_path / "src"
    out, source = build(
        tmp_path,
        {
            "arch/x86/boot/.main.o.cmd": reads(source, "arch/x86/boot/main.c"),
            "arch/x86/kernel/.built-in.o.cmd": "cmd_arch/x86/kernel/built-in.o := ld -r arch/x86/kernel/traps.o\n",
            "arch/x86/kernel/.head64.o.cmd": reads(source, "arch/x86/kernel/head64.c"),
            "drivers/gpu/drm/.drm.o.cmd": reads(source, "drivers/gpu/drm/drm.c"),
            "lib/.lib.a.cmd": archive("lib/lib.a", "string.o"),
            "lib/.string.o.cmd": reads(source, "lib/string.c"),
            "mm/.built-in.o.cmd": "cmd_mm/built-in.o :=  ld -m elf_x86_64  -r -o mm/built-in.o mm/slub.o mm/mmap.o\n",
            "mm/.slub.o.cmd": reads(source, "mm/slub.c"),
            "mm/.slab.o.cmd": reads(source, "mm/slab.c"),
        },
    )
    assert set(readers(out, source)[1]) == {
        "arch/x86/boot/main.c",
        "arch/x86/kernel/head64.c",
        "drivers/gpu/drm/drm.c",
        "lib/string.c",
        "mm/slub.c",
    }
