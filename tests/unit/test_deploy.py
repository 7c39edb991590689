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
UNITS = sorted(DEPLOY.glob("**/*.service"))
SLURM = DEPLOY / "fleet" / "firstbad-hosts.sbatch"


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


def test_the_fleet_on_kubernetes_calls_commands_that_there_are():
    documents = list(yaml.safe_load_all((DEPLOY / "fleet" / "kubernetes.yaml").read_text()))
    pods = [one["spec"]["template"]["spec"] for one in documents if one["kind"] in ("Deployment", "DaemonSet")]
    for container in (container for pod in pods for container in pod["containers"]):
        check_command(container["args"])
    assert len(pods) == 3


def test_hosts_by_slurm(tmp_path):
    """The script as a shell reads it, its options as sbatch knows them, and what it calls as we know it."""
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    subprocess.run(["bash", "-n", SLURM], check=True)
    lines = SLURM.read_text().splitlines()
    options = dict(
        re.fullmatch(r"#SBATCH --([a-z-]+)(?:=(\S+))?", line).groups() for line in lines if "#SBATCH" in line
    )
    known = {"job-name", "array", "nodes", "ntasks", "cpus-per-task", "mem", "time", "requeue", "signal"}
    assert set(options) <= known
    first_command = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
    assert not any("#SBATCH" in line for line in lines[first_command:]), "sbatch reads no further"
    told = tmp_path / "firstbad"
    told.write_text('#!/bin/sh\nprintf "%s\\n" "$FIRSTBAD_HOME" "$@"\n')
    told.chmod(0o755)
    env = {"PATH": "/usr/bin:/bin", "FIRSTBAD": str(told), "SLURM_JOB_ID": "7"}
    without = subprocess.run(["bash", SLURM], env=env, capture_output=True, text=True)
    assert without.returncode != 0
    assert "FIRSTBAD_LISTEN" in without.stderr
    env |= {"FIRSTBAD_LISTEN": "tls://10.0.0.1:8786", "FIRSTBAD_SHELF": "/shared/fire bad"}
    done = subprocess.run(["bash", SLURM], env=env, capture_output=True, text=True, check=True)
    place, *words = done.stdout.splitlines()
    assert place.startswith("/var/tmp/")
    assert words[:3] == ["worker", "--server", "tls://10.0.0.1:8786"]
    assert words[words.index("--shelf") + 1] == "/shared/fire bad"
    assert words[words.index("--name") + 1].endswith("-7")
    check_command(words)
