"""References of stored jobs and the paths that they are on a machine."""

import pytest

from firstbad.errors import UserError
from firstbad.job import NOTHING
from firstbad.references import path_of, placed, reference_of, stored, to_repository, to_upload

DIGEST = "ab" * 32


def a_job():
    return {
        "repo": to_repository("linux"),
        "config": to_upload(DIGEST, ".config"),
        "repro": "builtin:nothing",
        "baseline": None,
        "machine": {"image": "/srv/disk.img"},
        "reproducer": {"syzkaller": to_repository("syzkaller")},
        "build": {"fixes": [{"patch": to_upload(DIGEST, "a.diff")}, {"commit": "HEAD"}]},
    }


def test_there_and_back_on_two_machines(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    here = placed(a_job(), one)
    assert here["repo"] == str(one / "repositories/linux")
    assert here["config"] == str(one / "files" / DIGEST / ".config")
    assert here["repro"] == str(NOTHING)
    assert here["machine"]["image"] == "/srv/disk.img"
    assert here["build"]["fixes"][0]["patch"] == str(one / "files" / DIGEST / "a.diff")
    assert stored(here, one) == a_job()
    assert placed(a_job(), two)["repo"] == str(two / "repositories/linux")


@pytest.mark.parametrize(
    "text", ["repository:../x", "repository:", "sha256:../../x", f"sha256:{DIGEST}/..", "/etc/passwd"]
)
def test_no_reference_leads_elsewhere(tmp_path, text):
    with pytest.raises(UserError):
        path_of(text, tmp_path)


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "a\0b", "../../etc/passwd", "ü" * 200])
def test_names_of_uploads_are_names_of_files(tmp_path, name):
    path = path_of(to_upload(DIGEST, name), tmp_path)
    assert path.parent == tmp_path / "files" / DIGEST
    assert reference_of(path, tmp_path) == to_upload(DIGEST, name)
