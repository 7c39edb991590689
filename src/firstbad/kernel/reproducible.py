"""Same code, same bytes: what keeps time, place, user and chance out of a kernel."""

import subprocess
from functools import cache
from importlib.resources import files
from pathlib import Path

from firstbad.errors import not_killed

ENVIRONMENT = {
    "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 1970",
    "KBUILD_BUILD_USER": "firstbad",
    "KBUILD_BUILD_HOST": "firstbad",
    "KBUILD_BUILD_VERSION": "1",
    "LC_ALL": "C",
}
ARGUMENTS = ("LOCALVERSION=",)
"""For make's command line: in the environment, a tree without LOCALVERSION_AUTO still appends a "+"."""

_SEED = "6669727374626164" * 4
_OLD_SEED = "scripts/gcc-plugins/randomize_layout_seed.h"


@cache
def maps_prefixes(cc: str) -> bool:
    """Whether a compiler knows -ffile-prefix-map (gcc 8, clang 10)."""
    command = [cc, "-ffile-prefix-map=a=b", "-x", "c", "-E", "/dev/null"]
    try:
        status = subprocess.run(command, capture_output=True, check=False).returncode
    except FileNotFoundError:
        return False
    not_killed(cc, status)  # answered "no", all kernels of this session would be others
    return status == 0


def flags(source: Path, out: Path) -> str:
    """Compiler options by which no directory's name gets into code or debug information.

    The kernel maps its own source directory (-fmacro-prefix-map=$(srctree)/=, a73619a845d5 in v5.1), which no longer
    matches when ccache makes paths relative (CCACHE_BASEDIR): then ``__FILE__`` is ../src/mm/slub.c without these.
    """
    return (
        f"-ffile-prefix-map=../src/= -fdebug-prefix-map={source}/= -fdebug-prefix-map={out}=/firstbad "
        f"-fmacro-prefix-map={source}/="
    )


def fix_chance(out: Path) -> tuple[str, ...]:
    """Where structures are laid out at random (RANDSTRUCT), always draw the same; more arguments for make.

    ``out/.config`` exists. The seed's place: scripts/basic since v5.19, made again by each output directory; before,
    a header of the gcc plugin, which is kept if it is there.
    """
    text = (out / ".config").read_text(errors="replace")
    if "CONFIG_GCC_PLUGIN_RANDSTRUCT=y" in text and "CONFIG_RANDSTRUCT" not in text:
        header = out / _OLD_SEED
        header.parent.mkdir(parents=True, exist_ok=True)
        if not header.exists():
            header.write_text(f'const char *randstruct_seed = "{_SEED}";\n')
    if "CONFIG_RANDSTRUCT=y" not in text:
        return ()
    return (f"gen-randstruct-seed={files('firstbad.kernel').joinpath('randstruct-seed.sh')}",)
