"""People, titles and links by tables of others; the data is not part of the project (tests/support/peer.py)."""

import json
from typing import Any

import pytest
from tests.support.histories import History
from tests.support.peer import shared

from firstbad.history.git import Repo
from firstbad.history.titles import canonical_title, find_by_title, fix_tags
from firstbad.report.links import commit_link, file_link
from firstbad.report.maintainers import parse_maintainers
from firstbad.report.recipients import recipients


@pytest.fixture(scope="module")
def table() -> dict[str, Any]:
    return json.loads((shared() / "peer" / "vcs_cases.json").read_text())


def split(people: list[dict[str, str]]) -> tuple[list[str], list[str]]:
    to, cc = ([who["address"] for who in people if who["type"] == kind] for kind in ("To", "Cc"))
    return to, cc


def test_recipients_of_a_commit(table) -> None:
    assert table["commit_parse"]
    for case in table["commit_parse"]:
        _, title, email, _, _, _, _, body = case["input"].split("\n", 7)
        assert title == case["expect"]["title"]
        assert recipients(f"{title}\n\n{body}", email) == split(case["expect"]["recipients"])


def test_recipients_and_tags_of_messages(table) -> None:
    cases = table["commit_metadata"]["cases"]
    assert len(cases) >= 9
    for case in cases:
        assert recipients(case["description"], case["author"]) == (case["recipients_to"], [])
        assert fix_tags(case["description"], "syzbot@my.mail.com") == case["tags"]
        assert canonical_title(case["title_alias"] or case["title"]) == canonical_title(case["title"])


def test_commits_are_found_by_title(table, tmp_path) -> None:
    repo = History(tmp_path / "repo")
    written = {}
    for case in table["commit_metadata"]["cases"]:
        environment = {"GIT_AUTHOR_EMAIL": case["author"]}
        repo.git("commit", "-q", "--allow-empty", "-m", case["description"], **environment)
        written[case["title"]] = repo.git("rev-parse", "HEAD")
        got = Repo(repo.path).commit("HEAD")
        assert (got.title, got.author_email) == (case["title"], case["author"])
    asked = [case["title_alias"] or case["title"] for case in table["commit_metadata"]["cases"]]
    found = find_by_title(Repo(repo.path), [*asked, "no such title"])
    assert found == dict(zip(asked, written.values(), strict=True))


def test_the_newest_commit_of_the_branch_is_found(table, tmp_path) -> None:
    assert len(table["titles_lookup_cases"]) == 3
    repo = History(tmp_path / "repo")

    def commit(title: str) -> str:
        repo.git("commit", "-q", "--allow-empty", "-m", title)
        return repo.git("rev-parse", "HEAD")

    commit("target"), commit("abc")
    newest = commit("target")
    repo.git("checkout", "-q", "--orphan", "b")
    other = commit("target")
    assert find_by_title(Repo(repo.path), ["target", "xyz"], "master") == {"target": newest}
    assert find_by_title(Repo(repo.path), ["target", "abc"], "b") == {"target": other}


def test_output_of_the_trees_script(table) -> None:
    assert len(table["maintainers"]["cases"]) >= 3
    for case in table["maintainers"]["cases"]:
        assert parse_maintainers(case["input"]) == split(case["expect"])


def test_canonical_titles(table) -> None:
    assert table["canonicalize_title"]["cases"]
    for case in table["canonicalize_title"]["cases"]:
        assert canonical_title(case["input"]) == case["expect"]
    for mark in table["canonicalize_title"]["prefixes_stripped_once"]:
        assert canonical_title(f"{mark} {mark} foo") == f"{mark} foo"


def test_links(table) -> None:
    assert len(table["links"]["commit"]) > 10
    for case in table["links"]["commit"]:
        assert commit_link(case["repo"], case["hash"]) == case["expect"]
    for case in table["links"]["file"]:
        assert file_link(case["repo"], case["hash"], case["file"], case["line"]) == case["expect"]


def test_recipients_of_known_bisections() -> None:
    """The logs of two real bisections name whom they told; their culprits are printed in them."""
    logs = sorted((shared() / "seeds").glob("*.txt"))
    assert len(logs) == 2
    for path in logs:
        text = path.read_text(encoding="latin-1")
        show = text[text.index("\ncommit ") :].split("\nculprit signature", 1)[0]
        email = show.split("Author:", 1)[1].split("<", 1)[1].split(">", 1)[0]
        message = "\n".join(line[4:] for line in show.splitlines() if line.startswith("    "))
        to, cc = recipients(message, email)
        told = [line for line in text.splitlines() if line.startswith("recipients (")]
        assert told == [
            f"recipients ({name}): [{' '.join(map(json.dumps, who))}]" for name, who in (("to", to), ("cc", cc))
        ]
