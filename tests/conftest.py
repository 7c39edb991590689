"""Real kernels: built, booted and crashed. One data directory for all, the demo's when FIRSTBAD_HOME is set."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from hypothesis import Phase, settings

from firstbad.demo import demo_job, find_source, make_demo
from firstbad.engine import BuildRequest
from firstbad.errors import NotFoundError
from firstbad.home import Home, home
from firstbad.session.lab import make_engine

# For mutation tests, of which there are thousands: always the same examples, no search for the smallest that fails.
settings.register_profile(
    "mutation", phases=[Phase.explicit, Phase.generate], derandomize=True, max_examples=30, deadline=None
)


def pytest_collection_modifyitems(items):
    if not os.environ.get("FIRSTBAD_OPTIONAL"):
        for item in items:
            if item.get_closest_marker("optional"):
                item.add_marker(pytest.mark.skip(reason="optional: set FIRSTBAD_OPTIONAL=1 to run it"))


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


@pytest.fixture(scope="session")
def kernel(place) -> Path:
    """A kernel that boots our machines: FIRSTBAD_TEST_KERNEL, else the head of the demo's history."""
    if os.environ.get("FIRSTBAD_TEST_KERNEL"):
        return Path(os.environ["FIRSTBAD_TEST_KERNEL"])
    made = make_demo(place.root / "demo", 1)
    case = made.cases["a"]
    engine = make_engine(place, demo_job(made, case, 0.99))
    try:
        return engine.build(BuildRequest(made.repo, case.start)).result().kernel
    finally:
        engine.close()


def pytest_configure():
    """Shells start background commands with Ctrl-C ignored, nohup ignores the end of a session, and what they start
    inherits that."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server for this run of the tests."""
    from tests.support.postgres import Postgres

    server = Postgres()
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request, tmp_path) -> str:
    """An empty database of each kind: a file, an URL."""
    if request.param == "sqlite":
        return str(tmp_path / "db")
    server = request.getfixturevalue("postgres")
    return server.new_database(f"t{time.time_ns()}")
