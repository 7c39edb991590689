"""Build logs and their causes against a peer's cases.

Left out, as not ours: ``binary_signature`` and ``reproducible_build`` are tested where signatures are; the peer's
``KERNELVERSION=syzkaller`` is its own way to the same end. ``aggregate_results`` says how a patch test sums up runs
into one result that is shown: we keep all runs and give a probability, there is no such choice to make.
"""

import functools
import json

import pytest
from tests.support.peer import shared

from firstbad.kernel.buildlog import cause_of, recorded_compiler, root_cause


@functools.cache
def table():
    return json.loads((shared() / "peer" / "build_cases.json").read_text())


def test_all_cases_are_there():
    assert len(table()["root_cause"]) == 25


@pytest.mark.parametrize("number", range(25))
def test_root_cause(number):
    case = table()["root_cause"][number]
    found = root_cause(case["build_log"], [case["kernel_src"]])
    assert found.reason == case["expect_reason"]
    assert found.file == case["expect_file"]


def test_infrastructure(tmp_path):
    """A build that was killed for want of memory is this machine's failure, all others are the revision's."""
    cases = table()["root_cause"]
    killed = [case for case in cases if case["expect_reason"] == "Killed"]
    assert len(killed) == 1
    for case in cases:
        assert root_cause(case["build_log"]).infrastructure == (case in killed)
    without = killed[0]["build_log"].replace("Error 137", "Error 1")
    assert not root_cause(without).infrastructure
    assert root_cause(without, status=137).infrastructure
    log = tmp_path / "build.log"
    log.write_text(killed[0]["build_log"])
    assert (cause_of(log).reason, cause_of(log).infrastructure) == ("Killed", True)


def test_compiler(tmp_path):
    case = table()["compiler_id"]
    path = tmp_path / case["file"]
    path.parent.mkdir(parents=True)
    assert recorded_compiler(tmp_path) == ""
    path.write_text(f'#define UTS_VERSION "#1"\n#define LINUX_COMPILER "{case["expect"]}"\n')
    assert recorded_compiler(tmp_path) == case["expect"]
    path.write_text('#define LINUX_COMPILER "aarch64-linux-gnu-gcc-12 (Debian 12.2.0-14) 12.2.0, GNU ld 2.40"\n')
    assert recorded_compiler(tmp_path) == "aarch64-linux-gnu-gcc (Debian 12.2.0-14) 12.2.0, GNU ld 2.40"


def test_a_log_that_says_nothing(tmp_path):
    log = tmp_path / "build.log"
    log.write_text("")
    assert cause_of(log).reason == "make failed and said nothing"
    log.write_text("  CC      a.o\nsomething odd\n")
    assert cause_of(log).reason == "something odd"
