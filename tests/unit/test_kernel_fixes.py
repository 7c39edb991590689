"""Fixes for old trees, by real git: which revisions need them, what is built, and that nothing else changes."""

import subprocess
from pathlib import Path

import pytest
from tests.support.histories import History, miniature

from firstbad.errors import NotFoundError, UserError
from firstbad.history.git import Repo
from firstbad.home import Home
from firstbad.job import Build, load_job
from firstbad.kernel import fixes
from firstbad.kernel.artifacts import Artifacts
from firstbad.kernel.build import Builder, Spec
from firstbad.kernel.fixes import Fixer, fixes_for
from firstbad.session import State, fold
from firstbad.session.lab import make_engine
from firstbad.store import Event

VALUE = "include/value.h"


@pytest.fixture
def history(tmp_path):
    """one - broken - later - fixed - last; "broken" does not build, "fixed" is its fix; a vendor took that over."""
    made = History(tmp_path / "repo")
    tree = miniature()
    tree["Makefile"] = tree["Makefile"] + "\n"
    made.commit("one", tree)
    made.commit("broken", {VALUE: "#define VALUE nonsense\n"})
    made.commit("later", {"README": "words\n"})
    made.commit("fixed", {VALUE: "#define VALUE 2\n"})
    made.commit("last", {"README": "more words\n"})
    made.commit("UPSTREAM: fixed", {VALUE: "#define VALUE 2\n"}, parents=["later"])
    made.commit("vendor", {"README": "other words\n"})
    made.commit("other value", {VALUE: "#define VALUE odd\n"}, parents=["later"])
    return made


def source(history: History, place: Path, title: str, version=None, patch=b"", **build):
    repo = Repo(history.path)
    given = fixes_for(repo, Build(**build))
    return Fixer(place).source(repo, history.commits[title], version, given, patch)


def fix(history: History, **more):
    return [{"commit": history.commits["fixed"], "guilty": history.commits["broken"], **more}]


def test_who_needs_a_fix(history, tmp_path):
    place, own = tmp_path / "objects", fix(history)
    for title, needs in (("one", 0), ("broken", 1), ("later", 1), ("fixed", 0), ("last", 0), ("vendor", 0)):
        found = source(history, place, title, fixes=own)
        assert len(found.applied) == needs, title
        assert not found.error
    short = history.commits["fixed"][:12]
    assert source(history, place, "later", fixes=own).applied == (f'{short} ("fixed")',)
    bounded = fix(history, since="v5.4", until="v5.10")
    for version, needs in (((5, 3, 9), 0), ((5, 4, 0), 1), ((5, 10, 0), 1), ((5, 11, 0), 0), (None, 1)):
        assert len(source(history, place, "later", version, fixes=bounded).applied) == needs, version


def test_a_fix_that_does_not_apply_is_told(history, tmp_path):
    found = source(history, tmp_path / "objects", "other value", fixes=fix(history))
    assert "does not apply" in found.error
    assert history.commits["fixed"][:12] in found.error


def test_titles_are_looked_up_once(history, tmp_path, monkeypatch):
    walks = []
    real = fixes.titled

    def counted(repo, since, tips, excluded):
        walks.append((tips, list(excluded)))
        return real(repo, since, tips, excluded)

    monkeypatch.setattr(fixes, "titled", counted)
    repo, fixer = Repo(history.path), Fixer(tmp_path / "objects")
    given = fixes_for(repo, Build(fixes=fix(history)))
    for title in ("vendor", "later", "broken", "vendor", "other value", "later"):
        fixer.source(repo, history.commits[title], None, given)
    assert walks == [
        ([history.commits["vendor"]], []),
        ([history.commits["other value"]], [history.commits["vendor"]]),
    ]


def test_the_build_has_the_fix_and_the_next_one_does_not(history, tmp_path):
    builder = Builder(tmp_path / "b", Artifacts(tmp_path / "artifacts", 1 << 30), tmp_path / "ccache", jobs=2)
    repo, commits = Repo(history.path), history.commits
    before = {path: path.read_bytes() for path in history.path.rglob("*") if path.is_file()}
    plain = Spec("CONFIG_MINE=y\n", "tinyconfig")
    given = Spec("CONFIG_MINE=y\n", "tinyconfig", fixes=fixes_for(repo, Build(fixes=fix(history))))
    assert "nonsense" in builder.build(repo, commits["later"], plain).error
    built = builder.build(repo, commits["later"], given)
    assert (built.error, len(built.fixes)) == ("", 1)
    undone = builder.build(repo, commits["one"], given)
    assert undone.fixes == ()
    assert undone.signature == builder.build(repo, commits["one"], plain).signature != built.signature
    assert built.signature == builder.build(repo, commits["last"], given).signature
    again = builder.build(repo, commits["later"], given)
    assert again.cached
    assert (again.key, again.fixes) == (built.key, built.fixes)
    assert "nonsense" in builder.build(repo, commits["later"], plain).error
    failed = builder.build(repo, commits["other value"], given)
    assert "does not apply" in failed.error
    assert "does not apply" in (failed.directory / "build.log").read_text()
    assert {path: path.read_bytes() for path in history.path.rglob("*") if path.is_file()} == before


def test_a_patch_is_part_of_the_build(history, tmp_path):
    patch = Repo(history.path).run("diff", history.commits["one"], history.commits["fixed"], "--", VALUE).stdout
    found = source(history, tmp_path / "objects", "one", patch=patch)
    assert found.repo.blob(found.tree, VALUE) == "#define VALUE 2\n"
    assert "already applied" in source(history, tmp_path / "objects", "last", patch=patch).error


def test_patches_and_bounds_of_a_job_file(history, tmp_path):
    patch = Repo(history.path).run("diff", history.commits["later"], history.commits["fixed"]).stdout
    (tmp_path / "fix.patch").write_bytes(patch)
    (tmp_path / "config").write_text("CONFIG_MINE=y\n")
    (tmp_path / "repro.c").write_text("int main(void) { return 0; }\n")
    head = f'repo = "repo"\nconfig = "config"\nrepro = "repro.c"\ncommit = "{history.commits["last"]}"\n'
    file = tmp_path / "job.toml"
    file.write_text(head + '[[build.fixes]]\npatch = "fix.patch"\nuntil = "v5.10"\n')
    job = load_job(file)
    assert job.build.fixes[0].patch == tmp_path / "fix.patch"
    assert type(job).model_validate(job.model_dump(mode="json")) == job
    given = fixes_for(Repo(job.repo), job.build)
    found = Fixer(tmp_path / "objects").source(Repo(job.repo), history.commits["later"], (5, 4, 0), given)
    assert found.applied == ("fix.patch",)
    there = Fixer(tmp_path / "objects").source(Repo(job.repo), history.commits["last"], (5, 4, 0), given)
    assert (there.applied, there.error) == ((), "")
    engine = make_engine(Home(tmp_path / "home", 1 << 30), job)
    assert engine._spec.fixes == given
    engine.close()
    for table, words in (
        ('patch = "none"', "no such file"),
        ('patch = "fix.patch"\ncommit = "HEAD"', "either 'commit' or 'patch'"),
        ('commit = "--all"', "can't begin with '-'"),
        ('commit = "HEAD"\nfrom = "six"', "from"),
    ):
        file.write_text(f"{head}[[build.fixes]]\n{table}\n")
        with pytest.raises(UserError, match=words):
            load_job(file)


def test_unusable_fixes(history):
    repo = Repo(history.path)
    with pytest.raises(NotFoundError, match="unknown revision"):
        fixes_for(repo, Build(fixes=[{"commit": "nonsense"}]))
    with pytest.raises(UserError, match="has 0 parents"):
        fixes_for(repo, Build(fixes=[{"commit": history.commits["one"]}]))
    assert fixes_for(repo, Build()) == (), "the built-in fixes are commits that this repository does not hold"


def test_built_in_fixes_can_be_left_out(history, monkeypatch):
    rule = {"commit": history.commits["fixed"], "title": "fixed"}
    monkeypatch.setattr(fixes.data, "load", lambda name: {"fix": [rule, {"commit": "0" * 40, "title": "gone"}]})
    repo = Repo(history.path)
    assert [given.title for given in fixes_for(repo, Build())] == ["fixed"]
    assert fixes_for(repo, Build(builtin_fixes=False)) == ()


def test_little_is_kept_of_patched_files(history, tmp_path, monkeypatch):
    monkeypatch.setattr(fixes, "_MOST_OBJECTS", 2000)
    place = tmp_path / "objects"
    for number in range(5):
        text = bytes(f"--- /dev/null\n+++ b/new{number}.c\n@@ -0,0 +1 @@\n+{'x' * 500}{number}\n", "ascii")
        found = source(history, place, "one", patch=text)
        assert found.repo.blob(found.tree, f"new{number}.c")
    assert sum(path.stat().st_size for path in place.rglob("*") if path.is_file()) < 5000


def test_the_record_says_which_fixes_were_applied():
    build = {
        "commit": "a" * 40,
        "key": "k",
        "signature": "s",
        "compiler": "gcc",
        "seconds": 1,
        "error": "",
        "cached": 0,
    }
    old = Event(1, 0, "build", build)
    new = Event(2, 0, "build", build | {"commit": "b" * 40, "fixes": ['f ("x")']})
    state: State = fold([old, new])
    assert state.builds["a" * 40].fixes == []
    assert state.builds["b" * 40].fixes == ['f ("x")']


def test_git_makes_no_objects_in_the_repository(history, tmp_path):
    """What git would write for a patched tree is not there afterwards; read-only repositories do."""
    subprocess.run(["chmod", "-R", "a-w", str(history.path / ".git/objects")], check=True)
    try:
        assert source(history, tmp_path / "objects", "later", fixes=fix(history)).applied
    finally:
        subprocess.run(["chmod", "-R", "u+w", str(history.path / ".git/objects")], check=True)
