"""Real kernels: built, booted and crashed. One data directory for all, the demo's when FIRSTBAD_HOME is set."""

import os
import shutil
from pathlib import Path

import pytest

from firstbad.demo import find_source
from firstbad.errors import NotFoundError
from firstbad.home import Home, home


@pytest.fixture(scope="session")
def place(tmp_path_factory) -> Home:
    for tool in ("qemu-system-x86_64", "ccache", "flex", "bison", "bc"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed; `firstbad doctor` says what is missing")
    try:
        find_source()
    except NotFoundError as error:
        pytest.skip(str(error))
    if not os.environ.get("FIRSTBAD_HOME"):
        os.environ["FIRSTBAD_HOME"] = str(tmp_path_factory.mktemp("home"))
    return home()


def machines_of(root: Path) -> list[int]:
    """Ids of QEMU processes that run something from a data directory."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if entry.name.isdigit() and b"qemu-system" in command and os.fsencode(root) in command:
            found.append(int(entry.name))
    return found
