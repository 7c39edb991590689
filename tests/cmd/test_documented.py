"""What the documentation tells people to type: it is there, and it works."""

import functools
import http.server
import os
import re
import shutil
import threading
import tomllib
from typing import cast

import click
import pytest
from tests.support.pages import ROOT, blocks, calls, check_events, pages, programs, shell

from firstbad.cli import main
from firstbad.home import Home
from firstbad.store import Store


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_each_command_is_one(page):
    for words in calls(page):
        while "=" in words[0]:
            words = words[1:]
        arguments = words[words.index("firstbad") + 1 :]
        context = click.Context(main, info_name="firstbad")
        _, rest, _ = main.make_parser(context).parse_args(list(arguments))
        command: click.Command = main
        while isinstance(command, click.Group) and rest:
            inner = cast(click.Group, command).get_command(context, rest[0])
            assert inner is not None, f"{page.name}: {' '.join(words)}: no such command"
            command, context = inner, click.Context(inner, info_name=rest[0], parent=context)
            try:
                rest = command.make_parser(context).parse_args(rest[1:])[1]
            except click.UsageError as error:
                pytest.fail(f"{page.name}: {' '.join(words)}: {error.message}")


def test_each_link_leads_somewhere():
    for page in pages():
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?:)([^)#]*)(?:#[^)]*)?\)", text):
            assert not target or (page.parent / target).exists(), f"{page.name}: {target}"
        for target, anchor in re.findall(r"\]\(([\w./-]*\.md)?#([^)]*)\)", text):
            other = (page.parent / target) if target else page
            heads = re.findall(r"^#+ (.*)$", other.read_text(encoding="utf-8"), re.M)
            assert anchor in {_anchor(head) for head in heads}, f"{page.name}: {target}#{anchor}"


def _anchor(head: str) -> str:
    return re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-")


def test_the_reference_is_up_to_date():
    import importlib.util

    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    for name, make in made.PAGES.items():
        # Spaces and line ends of option tables are click's affair, and differ between its versions.
        written, now = ((made.PLACE / name).read_text(encoding="utf-8"), make())
        said, says = (set(re.findall(r"^(?:## .*|\| `[^ `]+)", text, re.M)) for text in (written, now))
        assert said == says, f"{name}: run docs/make_reference.py"


def test_each_benchmark_is_in_the_table():
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    for file in (ROOT / "benchmarks").glob("*.py"):
        if "__main__" in file.read_text():
            assert re.search(rf"`{file.stem}[ `]", page), file.stem


def test_the_tutorial(tmp_path):
    """From nothing to the commit that made a flaky test fail, word by word."""
    place = {"FIRSTBAD_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)}
    path = f"{programs(tmp_path / 'bin')}:{os.environ['PATH']}"
    # Chance, but the same each time: an answer of 99% may be wrong once in a hundred.
    count = tmp_path / "count"
    count.touch()
    dice = f"#!/bin/sh\necho >> {count}\necho $(( ($(wc -l < {count}) * 7919 + 13) % 251 ))\n"
    (tmp_path / "bin" / "od").write_text(dice)
    (tmp_path / "bin" / "od").chmod(0o755)
    said = []
    for block in blocks(ROOT / "docs" / "tutorial.md"):
        if not block.mark:
            said.append(shell(block.text, tmp_path, {**os.environ, **place, "PATH": path, "COLUMNS": "100"}))
    assert "version 37" in said[1]
    assert "version 37" in said[2]
    store = Store(Home(tmp_path / "home", 2**30).database)
    check_events(store.events(1))


def test_each_kind_of_event_is_described():
    known = (ROOT / "src/firstbad/session/events.toml").read_text()
    kinds = {kind for names in tomllib.loads(known) for kind in names.split(", ")}
    recorded = set()
    for file in (ROOT / "src" / "firstbad").rglob("*.py"):
        text = file.read_text()
        recorded |= set(re.findall(r"\brecord\(\s*\"([a-z-]+)\"", text))
        recorded |= set(re.findall(r"\bappend\(\s*[\w.]+,\s*\"([a-z-]+)\"", text))
    assert {"started", "told", "mail", "opinion"} <= recorded <= kinds


def test_every_block_of_the_recipes_is_run_by_somebody():
    kernel = (ROOT / "tests" / "acceptance" / "test_documented_kernel.py").read_text()
    for page in ("tutorial.md", "howto.md"):
        for block in blocks(ROOT / "docs" / page):
            kind, _, name = block.mark.partition(": ")
            assert kind in ("", "kernel", "by CI", "parsed"), block.mark
            assert kind != "kernel" or f'"{name}"' in kernel, block.mark


def test_the_recipes_that_need_no_kernel(tmp_path):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    served = tmp_path / "page"
    served.mkdir()
    (served / "config.txt").write_text("CONFIG_64BIT=y\n")
    (served / "repro.c").write_text("int main(void) { return 0; }\n")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(served))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    path = f"{programs(tmp_path / 'bin')}:{os.environ['PATH']}"
    page = f"http://127.0.0.1:{server.server_port}"
    environment = {**os.environ, "FIRSTBAD_HOME": str(tmp_path / "home"), "PATH": path, "PAGE": page}
    try:
        for block in blocks(ROOT / "docs" / "howto.md"):
            if not block.mark:
                shell(block.text, tmp_path, environment)
    finally:
        server.shutdown()
    assert (tmp_path / "repro.c").read_text() == (served / "repro.c").read_text()
