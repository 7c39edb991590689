"""Configurations in builds of the miniature tree: rules by release, similar ones in one place, what is recorded."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.histories import History

from firstbad.history.git import Repo
from firstbad.kernel.artifacts import Artifacts
from firstbad.kernel.build import Builder, Spec
from firstbad.kernel.config import adapt, identity
from firstbad.kernel.dotconfig import read_config

TREE = Path(__file__).parent.parent / "fakelinux"
OWN = Spec("CONFIG_MINE=y\nCONFIG_UNWINDER_ORC=y\nCONFIG_DEBUG_INFO_BTF=y\n", "tinyconfig")


@pytest.fixture
def history(tmp_path):
    if shutil.which("ccache") is None:
        pytest.skip("ccache is not installed; `firstbad doctor` says what is missing")
    made = History(tmp_path / "repo")
    tree = {str(path.relative_to(TREE)): path.read_text() for path in TREE.rglob("*") if path.is_file()}
    made.commit("one", tree)
    record = "\n\t@mkdir -p $(O)/include/generated && echo '#define LINUX_COMPILER \"gcc-12 (X) 1, GNU ld 2\"' > "
    makefile = tree["Makefile"].rstrip() + record + "$(O)/include/generated/compile.h\n"
    made.commit("records", {"Makefile": makefile, "include/value.h": "#define VALUE 9\n"})
    made.commit("old", {"Makefile": tree["Makefile"].replace("VERSION = 6", "VERSION = 4", 1)})
    return made


@pytest.fixture
def builder(tmp_path):
    return Builder(tmp_path / "builder", Artifacts(tmp_path / "artifacts", 1 << 30), tmp_path / "ccache", jobs=2)


def test_rules_by_release(history, builder):
    repo = Repo(history.path)
    new = builder.build(repo, history.commits["one"], OWN)
    values = read_config(new.config())
    assert (values["MINE"], values["UNWINDER_ORC"], values["DEBUG_INFO_BTF"]) == ("y", "y", "n")
    old = builder.build(repo, history.commits["old"], replace(OWN, toolchain="gcc"))
    values = read_config(old.config())
    assert (values["UNWINDER_ORC"], values["UNWINDER_FRAME_POINTER"]) == ("n", "y")
    assert new.config_digest() == hashlib.sha256((new.directory / "config").read_bytes()).hexdigest()


def test_similar_configurations_share_a_place(history, builder):
    """And what comes out is what a place of its own gives."""
    repo, commit = Repo(history.path), history.commits["one"]
    builder.build(repo, commit, OWN)
    like = Spec("CONFIG_OTHER=y\n", "tinyconfig", outputs=OWN)
    near = builder.build(repo, commit, like)
    assert len(list(builder.directory.glob("place-*"))) == 1
    assert read_config(near.config())["OTHER"] == "y"
    assert "MINE" not in read_config(near.config())
    alone = builder.build(repo, commit, replace(like, outputs=None), fresh="clean")
    assert (alone.signature, alone.config()) == (near.signature, near.config())


def test_compiler_and_linker_as_the_build_records_them(history, builder):
    repo = Repo(history.path)
    assert builder.build(repo, history.commits["one"], OWN).compiler.startswith("gcc (")
    assert builder.build(repo, history.commits["records"], OWN).compiler == "gcc (X) 1, GNU ld 2"


def test_what_is_not_there_is_not_changed():
    text = 'CONFIG_A="y"\n# CONFIG_KCOV is not set\n# words\n'
    assert adapt(text, (4, 4, 0)) == adapt(text, None) == text
    assert adapt("CONFIG_KCOV=y\n", (5, 4, 0)) == "CONFIG_KCOV=y\n"
    assert adapt("CONFIG_KCOV=y\n", (5, 3, 18)) == "# CONFIG_KCOV is not set\n"
    assert adapt("CONFIG_KCOV=y\n", None) == "CONFIG_KCOV=y\n"


def test_identity():
    """Of what is given: the text and what it is merged over."""
    assert identity("CONFIG_A=y\n", "none") == identity("CONFIG_A=y\n", "none")
    assert len({identity("a", "none"), identity("a", "tinyconfig"), identity("b", "none")}) == 3
