"""Job files as somebody else may have written them: unusable ones are refused in one line, in time."""

import time

import pytest

from firstbad.errors import UserError
from firstbad.job import read_job
from firstbad.job_text import LARGEST, parse_toml
from firstbad.web.submit_form import from_file

BOMBS = {
    "parts": "a" + ".a" * 200_000 + " = 1",
    "long parts": "a = 1\n[" + ".".join(["x" * 150] * 10_000) + "]",
    "quoted parts": "a = { " + ".".join(['"b c"', "'d'"] * 50_000) + " = 1 }",
    "spaced parts": "a = 1\n" + " . ".join(["b"] * 100_000) + " = 1",
    "arrays": "a = " + "[" * 100_000,
    "tables": "a = " + "{a = " * 100_000,
    "size": "#" * (LARGEST + 1),
    "words": "a = 1\n" + "x" * 1_000_000,
    "near the bound": "\n".join(f"a{i}" + ".a" * 60 + " = 1" for i in range(5_000)) + "\n!",
    "dots": "." * 1_000_000,
    "quotes": '"' * 1_000_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_job_file_that_is_too_much_is_refused(name, tmp_path):
    file = tmp_path / "job.toml"
    file.write_text(BOMBS[name])
    begin = time.process_time()
    with pytest.raises(UserError, match=r"job\.toml: ") as told:
        read_job(file)
    assert len(str(told.value)) < 1000
    with pytest.raises(UserError, match="the job file: "):
        from_file(BOMBS[name])
    assert time.process_time() - begin < 10


def test_what_looks_like_one_and_is_none():
    text = (
        'patch = """\n' + ".".join(map(str, range(60))) + '\n"""\nnote = "' + "a.b, " * 1000 + '"\n[a.b.c]\nd.e = 1\n'
    )
    assert parse_toml(text, "x")["a"] == {"b": {"c": {"d": {"e": 1}}}}


@pytest.mark.parametrize("path", ["directory", "bytes"])
def test_what_is_no_text(path, tmp_path):
    (tmp_path / "directory").mkdir()
    (tmp_path / "bytes").write_bytes(b"repo = '\xff\xfe'")
    with pytest.raises(UserError, match=path):
        read_job(tmp_path / path)
