"""Units and the Compose file are what their programs take, and call commands that there are."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from firstbad.cli import main

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_units_as_systemd_reads_them(unit, tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed (Debian: systemd)")
    text = unit.read_text().replace("/opt/firstbad/bin/firstbad", "/bin/true").replace("=firstbad\n", "=daemon\n")
    text = text.replace("SupplementaryGroups=kvm\n", "").replace("postgresql.service", "")
    name = unit.name.replace("@.", "@1.")
    (tmp_path / name).write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", tmp_path / name], capture_output=True, text=True)
    ours = [line for line in done.stderr.splitlines() if name in line]
    assert (done.returncode, ours) == (0, []), done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_units_call_commands_that_there_are(unit):
    (words,) = re.findall(r"^ExecStart=/opt/firstbad/bin/firstbad (.*)$", unit.read_text(), re.M)
    check_command(words.split())


def check_command(words):
    taken = CliRunner().invoke(main, [*words, "--help"])
    assert taken.exit_code == 0, taken.output
    for option in (word for word in words if word.startswith("--")):
        # A switch is told with its other half, as in --worker / --no-worker.
        assert re.search(rf"{option}\b", taken.output), option


def test_compose_as_docker_reads_it():
    compose = ["docker", "compose"]
    if shutil.which("docker") is None or subprocess.run([*compose, "version"], capture_output=True).returncode:
        pytest.skip("docker compose is not installed")
    done = subprocess.run([*compose, "-f", DEPLOY / "compose.yaml", "config"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_compose():
    found = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    services = found["services"]
    assert set(services) == {"database", "server", "worker"}
    for name in ("server", "worker"):
        check_command(services[name]["command"])
        assert services[name]["environment"]["FIRSTBAD_DATABASE"].startswith("postgresql://")
    for service in services.values():
        assert set(service["networks"]) <= set(found["networks"])
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert source in found["volumes"] or source.startswith(("$", ".", "/"))
    # Nothing but the server is reached from outside, and that from this host alone.
    assert services["server"]["ports"] == ["127.0.0.1:8384:8384"]
    assert "ports" not in services["database"]
    assert services["database"]["networks"] == ["inside"]
    assert found["networks"]["inside"] == {"internal": True}


def test_the_image_has_what_bootstrap_installs():
    """But for the demo's source."""
    bootstrap = (DEPLOY.parent / "bootstrap").read_text()
    wanted = re.search(r'^packages="([^"]*)"', bootstrap, re.M)[1].split()
    image = (DEPLOY / "Dockerfile").read_text()
    assert [name for name in wanted if name not in image] == []
