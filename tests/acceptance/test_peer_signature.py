"""What a peer's tests say of signatures and of reproducible builds, asked of ours."""

import itertools
import json
import re
import shutil
import subprocess

import pytest
from tests.support.peer import shared

from firstbad.kernel import reproducible
from firstbad.kernel.config import machine_options
from firstbad.kernel.signature import signature

PROGRAM = """
#include <stdio.h>
%s
int main(void)
{
	printf("%%d\\n", %s);
	return 0;
}
"""


@pytest.fixture(scope="module")
def facts():
    place = shared() / "peer" / "build_cases.json"
    if not place.is_file():
        pytest.skip("the peer's table of builds is not here; FIRSTBAD_SHARED names its directory")
    return json.loads(place.read_text())


def flag_sets(facts):
    text = facts["binary_signature"]["cases"]
    flags = re.findall(r"(?<![\w-])-[a-zA-Z][\w-]*", text.split("subset of", 1)[1].split(":")[0])
    assert len(flags) == 5, text
    return [chosen for count in range(len(flags) + 1) for chosen in itertools.combinations(flags, count)]


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_every_subset_of_flags(facts, tmp_path):
    source = tmp_path / "program.c"

    def built(flags, comment, number):
        source.write_text(PROGRAM % (comment, number))
        target = tmp_path / "program"
        subprocess.run(["gcc", *flags, "-o", target, source], check=True)
        return signature(target)

    for flags in flag_sets(facts):
        plain = built(flags, "", "1")
        assert built(flags, "/* a comment\n\nof some lines */", "1") == plain, flags
        assert built(flags, "", "2") != plain, flags


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_debug_information_never_counts(tmp_path):
    source = tmp_path / "program.c"
    source.write_text(PROGRAM % ("", "1"))
    signatures = set()
    for debug in ("-g0", "-g", "-gdwarf-5", "-g3"):
        subprocess.run(["gcc", debug, "-Wl,--build-id", "-o", tmp_path / "program", source], check=True)
        signatures.add(signature(tmp_path / "program"))
    assert len(signatures) == 1


def test_what_is_fixed_for_reproducible_builds(facts, tmp_path):
    """All that the peer fixes is fixed; its KERNELRELEASE is not: reports and reproducers see the true release."""
    wanted = facts["reproducible_build"]
    assert set(wanted["env"]) <= set(reproducible.ENVIRONMENT)
    names = {argument.split("=")[0] for argument in reproducible.ARGUMENTS}
    assert {argument.split("=")[0] for argument in wanted["make_args"]} - names == {"KERNELVERSION", "KERNELRELEASE"}
    (tmp_path / ".config").write_text("CONFIG_GCC_PLUGIN_RANDSTRUCT=y\nCONFIG_MODULE_SIG=y\n")
    assert reproducible.fix_chance(tmp_path) == ()
    made = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.h")}
    # A key is not fixed but left out: vmlinux holds none when the configuration names none.
    assert 'CONFIG_MODULE_SIG_KEY=""\n' in machine_options((6, 12, 0))
    assert made | {"certs/signing_key.pem"} == set(wanted["fixed_files"])
