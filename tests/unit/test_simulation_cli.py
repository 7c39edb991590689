"""`firstbad simulate`: one JSON line per scenario, in order; errors in one line."""

import json

import pytest
from click.testing import CliRunner

from firstbad.cli.simulate import simulate
from firstbad.errors import NotFoundError, UserError

FIELDS = {
    *("name", "status", "commits", "probabilities", "confidence", "boundary", "noop", "is_release", "is_merge"),
    *("revisions_tested", "builds", "runs", "vm_seconds", "wall_seconds", "log"),
}


def scenario(name: str, **more) -> dict:
    commits = [{"title": f"c{i}", "parents": [f"c{i - 1}"] if i else []} for i in range(40)]
    return {"name": name, "commits": commits, "tags": {"v1.0": "c0"}, "introduced": "c17", **more}


def call(*args: str, text: str = ""):
    return CliRunner().invoke(simulate, [*args], input=text)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_results_in_the_order_of_the_scenarios(tmp_path, jobs):
    several = tmp_path / "several.json"
    several.write_text(
        json.dumps([scenario("b", introduced="c3"), scenario("a \N{SNOWMAN}"), scenario("c", start="c9")])
    )
    done = call("--policy", "syzbot", "--jobs", jobs, str(several), "-", text=json.dumps(scenario("d")))
    assert done.exit_code == 0, done.output
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["name"], row["status"], row["commits"]) for row in found] == [
        ("b", "found", ["c3"]),
        ("a \N{SNOWMAN}", "found", ["c17"]),
        ("c", "not_reproduced", []),
        ("d", "found", ["c17"]),
    ]
    assert all(set(row) >= FIELDS for row in found)


def test_no_scenarios_no_lines():
    done = call("--policy", "syzbot", "-", text="[]")
    assert (done.exit_code, done.stdout) == (0, "")


def test_target_overrides_the_scenarios_own():
    text = json.dumps(scenario("a", lab={"crash_rate": 0.1}, target=0.999))
    sure, quick = (call("--policy", "plugin-rate", *more, "-", text=text) for more in ((), ("--target", "0.6")))
    assert json.loads(quick.stdout)["runs"] < json.loads(sure.stdout)["runs"]


def test_errors_are_the_users():
    for text, words in (("{", "-: line 1 column 2: not JSON"), ('{"name": "a"}', "-: commits: missing")):
        done = call("--policy", "syzbot", "-", text=text)
        assert isinstance(done.exception, UserError)
        assert str(done.exception).startswith(words)
    assert isinstance(call("none.json").exception, NotFoundError)
    assert isinstance(call("--policy", "nobody", "-", text="[]").exception, UserError)
    assert call("--target", "2", "-").exit_code == 2
    assert call().exit_code == 2
