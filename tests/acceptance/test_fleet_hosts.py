"""A real bisection over three hosts with networks of their own, each of which something happens to.

Optional (FIRSTBAD_OPTIONAL=1): each host builds a kernel from nothing; needs root and iproute2.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
from tests.support.fleets import Fleet, certificates
from tests.support.processes import machines_of

from firstbad.demo import demo_job, make_demo
from firstbad.home import Home
from firstbad.store import Store

pytestmark = [pytest.mark.kernel, pytest.mark.optional]

NAMES = ("h1", "h2", "h3")


def ip(*words: str, check: bool = True) -> None:
    subprocess.run(["ip", *words], check=check, capture_output=True)


@pytest.fixture
def network():
    """A bridge, and a network namespace for each host; the address of this side."""
    mark = f"fb{os.getpid() % 10000}"
    if os.geteuid() or not shutil.which("ip") or not shutil.which("openssl"):
        pytest.skip("needs root, ip (iproute2) and openssl")
    spaces = {name: f"{mark}{name}" for name in NAMES}
    try:
        subprocess.run(["ip", "link", "add", mark, "type", "bridge"], check=True, capture_output=True)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network of our own here: {error.stderr.decode().strip()}")
    try:
        ip("addr", "add", "10.213.77.1/24", "dev", mark)
        ip("link", "set", mark, "up")
        for number, (name, space) in enumerate(spaces.items(), 2):
            ip("netns", "add", space)
            ip("link", "add", f"{mark}v{name}", "type", "veth", "peer", "name", "eth0", "netns", space)
            ip("link", "set", f"{mark}v{name}", "master", mark, "up")
            ip("-n", space, "addr", "add", f"10.213.77.{number}/24", "dev", "eth0")
            ip("-n", space, "link", "set", "eth0", "up")
            ip("-n", space, "link", "set", "lo", "up")
        yield spaces, mark
    finally:
        for space in spaces.values():
            ip("netns", "del", space, check=False)
        ip("link", "del", mark, check=False)


def wait_for(condition, seconds: float, what: str):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.2)
    return found


def test_a_cut_network_a_killed_host_and_a_killed_hub(place, network, tmp_path):
    spaces, mark = network
    made = make_demo(place.root / "demo", 1)
    case = made.cases["a"]
    fleet = Fleet(tmp_path / "fleet", certificates(tmp_path / "tls"), ip="10.213.77.1")
    session = Home(tmp_path / "session", 8 << 30)
    store = Store(session.database)
    number = store.submit(demo_job(made, case, 0.99, verify="clean"))
    env = {
        **os.environ,
        "FIRSTBAD_HOME": str(session.root),
        "FIRSTBAD_FLEET": fleet.address,
        "FIRSTBAD_FLEET_TLS": str(tmp_path / "tls"),
        "FIRSTBAD_SHELF": str(fleet.root / "shelf"),
    }

    def runs() -> int:
        return sum(event.kind == "run" for event in store.events(number))

    def host(name: str) -> None:
        (fleet.root / name).mkdir(exist_ok=True)
        if place.ccache.exists() and not (fleet.root / name / "ccache").exists():
            (fleet.root / name / "ccache").symlink_to(place.ccache)  # or each of them compiles a kernel from nothing
        fleet.host(name, "build=1,machine=2", before=("ip", "netns", "exec", spaces[name]))

    fleet.hub()
    for name in NAMES:
        host(name)
    bisection = subprocess.Popen([sys.executable, "-m", "firstbad", "resume", str(number), "--plain"], env=env)
    try:
        wait_for(lambda: runs() >= 4, 900, "the start commit is tested")
        ip("link", "set", f"{mark}vh1", "down")
        wait_for(lambda: runs() >= 6, 600, "two hosts go on")
        fleet.end("h2", signal.SIGKILL)
        wait_for(lambda: runs() >= 7, 600, "one host goes on")
        fleet.end("hub", signal.SIGKILL)
        host("h2")
        ip("link", "set", f"{mark}vh1", "up")
        fleet.hub()
        assert bisection.wait(1800) == 0
    finally:
        bisection.kill()
        bisection.wait()
        logs = fleet.logs()
        fleet.close()
    events = store.events(number)
    assert events[-1].kind == "finished", logs
    assert events[-1].data["commits"] == [case.culprit]
    done = Counter(order for _, order, status in fleet.orders() if status == "done")
    again = sum(count - 1 for count in done.values())
    assert len(done) >= 12
    assert again <= 3 * 3, "only what was under way on a host that was cut off or with the hub that was killed"
    assert len({who for who, _, status in fleet.orders() if status == "done"}) == 3, "all hosts took part"
    built = Counter(event.data["commit"] for event in events if event.kind == "build")
    assert max(built.values()) == 1
    wait_for(lambda: not any(machines_of(fleet.root / name) for name in NAMES), 20, "no machine is left behind")
