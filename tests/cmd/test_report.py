"""``firstbad report``: on a terminal, as a page, and how it fails."""

import pytest
from click.testing import CliRunner
from tests.support.stories import finished_job

from firstbad.cli import main


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return finished_job(tmp_path_factory.mktemp("job"))


@pytest.fixture(autouse=True)
def _home(done, monkeypatch):
    monkeypatch.setenv("FIRSTBAD_HOME", str(done.place.root))


def invoke(*args: object):
    return CliRunner().invoke(main, [str(arg) for arg in args])


def test_on_a_terminal(done):
    result = invoke("report")
    assert result.exit_code == 0
    for words in (f"first bad commit: {done.history.commits['c13']} c13", "the path:", "the evidence:", "(culprit)"):
        assert words in result.stdout


def test_as_a_page(done, tmp_path):
    page = tmp_path / "page.html"
    assert f"written: {page}" in invoke("report", done.number, "--html", page).stdout
    assert page.read_text().startswith("<!doctype html>")
    assert invoke("report", "--html", "-").stdout.rstrip("\n") == page.read_text().rstrip("\n")


def test_what_can_not_be_written(done, tmp_path):
    result = invoke("report", "--html", tmp_path / "no" / "page.html")
    assert result.exit_code == 2
    assert "No such file or directory" in result.stderr
