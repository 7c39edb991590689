"""Real kernel lines years apart, by several compilers and for several architectures: built, booted, crashed.

Optional (FIRSTBAD_OPTIONAL=1): half an hour on two cores, and packages that other tests do without. Each test appends
what it measured to ``lab.jsonl`` in the data directory; docs/lab.md has the table.
"""

import json
import resource
import time

import pytest
from tests.support.real_trees import release

from firstbad.crash import first_sign, parse
from firstbad.demo import make_demo
from firstbad.errors import NotFoundError, UserError
from firstbad.history.git import Repo
from firstbad.kernel.artifacts import Artifacts
from firstbad.kernel.build import Builder, Spec
from firstbad.kernel.toolchain import choose
from firstbad.repro import prepare
from firstbad.repro.prepare import Settings
from firstbad.repro.targets import find_target
from firstbad.vm import Acceleration, MachineConfig, build_initramfs, run_machine
from firstbad.vm.architecture import architecture

pytestmark = [pytest.mark.kernel, pytest.mark.optional]

RELEASES = ("linux-source-6.1", "linux-source-6.12")
COMPILERS = ("gcc-11", "gcc-12", "clang-14", "clang-16")
HOW = Acceleration("tcg", "tests run the same everywhere")


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("package", RELEASES)
def test_release_by_compiler(place, package, compiler):
    check(place, package, compiler, "x86_64")


@pytest.mark.parametrize("arch", ["aarch64", "riscv64"])
def test_other_architectures(place, arch):
    check(place, "linux-source-6.12", "gcc-12", arch)


def check(place, package: str, compiler: str, arch: str) -> None:
    case = make_demo(place.root / "demo", 1).cases["a"]
    repo, good, bad = release(place.root / "releases", package, "a")
    try:
        tools = choose(None, compiler, arch)
        settings = Settings(find_target("", arch), compiler=architecture(arch).compiler)
        initramfs = build_initramfs(place.machines, arch=arch)
        payload = prepare(case.repro, place.machines, settings).payload()
    except (NotFoundError, UserError) as error:
        pytest.skip(str(error))
    # Without debug information, which nothing here reads and which takes a third of the time.
    config = case.config.read_text().replace("CONFIG_DEBUG_INFO_DWARF5=y", "CONFIG_DEBUG_INFO_NONE=y")
    spec = Spec(config, "tinyconfig", compiler, arch)
    builder = Builder(place.builders / "releases", Artifacts(place.artifacts, place.budget), place.ccache)

    def run(commit: str):
        built = builder.build(Repo(repo), commit, spec)
        assert built.error == "", built.directory / "build.log"
        started = time.monotonic()
        done = run_machine(
            built.kernel, initramfs, payload, MachineConfig(arch=arch), HOW, crash_sign=first_sign,
        )  # fmt: skip
        return built, done, parse(done.console), time.monotonic() - started

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    clean, quiet, nothing, _ = run(good)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert quiet.ended == "finished", (quiet.detail, quiet.console[-2000:])
    assert nothing is None
    crashed, loud, report, seconds = run(bad)
    assert report is not None, loud.console[-2000:]
    assert report.title.endswith(" in do_timer_create")
    assert clean.signature != crashed.signature
    row = {
        "package": package,
        "arch": arch,
        "compiler": tools.identity,
        "build_seconds": clean.seconds,
        "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "next_build_seconds": crashed.seconds,
        "cached": clean.cached,
        "boot_seconds": round(quiet.boot_seconds, 2),
        "boot_and_crash_seconds": round(seconds, 2),
        "title": report.title,
    }
    with (place.root / "lab.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
