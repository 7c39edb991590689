"""Configurations in builds of the miniature tree: rules by release, similar ones in one place, what is recorded."""

import hashlib
import shutil
from dataclasses import replace

import pytest
from tests.support.histories import History, miniature

from firstbad.errors import UserError
from firstbad.history.git import Repo
from firstbad.home import Home
from firstbad.job import make_job
from firstbad.kernel.artifacts import Artifacts
from firstbad.kernel.build import Builder, Spec
from firstbad.kernel.config import adapt, identity
from firstbad.kernel.dotconfig import read_config
from firstbad.kernel.harmless import FILES, check_config
from firstbad.session.lab import make_engine

OWN = Spec("CONFIG_MINE=y\nCONFIG_UNWINDER_ORC=y\nCONFIG_DEBUG_INFO_BTF=y\n", "tinyconfig")


@pytest.fixture
def history(tmp_path):
    if shutil.which("ccache") is None:
        pytest.skip("ccache is not installed; `firstbad doctor` says what is missing")
    made = History(tmp_path / "repo")
    tree = miniature()
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


@pytest.mark.parametrize(
    "line",
    [
        'CONFIG_LOCALVERSION="$(touch x)"',
        'CONFIG_CMDLINE="$(shell touch x)"',
        'CONFIG_INITRAMFS_SOURCE="x; touch x"',
        'CONFIG_EXTRA_FIRMWARE="a `touch x`"',
        'CONFIG_UNUSED_KSYMS_WHITELIST="|touch x"',
        'CONFIG_BUILD_SALT="a && touch x"',
        "CONFIG_X=y\u2028$(touch x)",
        "export X=$(shell touch x)",
        " $(touch x)",
    ],
)
def test_values_that_makefiles_would_run_are_refused(line):
    check_config('# CONFIG_A is not set\n# $(comment)\nCONFIG_B="a b, (c) /d"\n', "x")
    with pytest.raises(UserError, match=r"^\.config: line 2: .* holds '.', which"):
        check_config(f"CONFIG_A=y\n{line}\nCONFIG_B=y\n", ".config")


def test_a_session_refuses_them_before_anything_is_built(history, tmp_path):
    config, repro = tmp_path / "config", tmp_path / "x.c"
    repro.write_text("int main(void) {}")
    fields = {"repo": str(history.path), "config": str(config), "repro": str(repro)}
    config.write_text('CONFIG_CMDLINE="$(shell touch x)"\n')
    with pytest.raises(UserError, match="config: line 1: CMDLINE holds"):
        make_engine(Home(tmp_path / "home", 1 << 30), make_job(fields))
    (tmp_path / "baseline").write_text("CONFIG_X=`id`\n")
    config.write_text("CONFIG_A=y\n")
    with pytest.raises(UserError, match="baseline: line 1"):
        make_engine(Home(tmp_path / "home", 1 << 30), make_job(fields | {"baseline": str(tmp_path / "baseline")}))


def test_no_files_of_the_host_get_into_a_kernel():
    text = 'CONFIG_A="/etc/x"\n' + "".join(f'CONFIG_{name}="/etc/shadow"\n' for name in FILES)
    values = read_config(adapt(text, None))
    assert values.pop("A") == '"/etc/x"'
    assert values == dict.fromkeys(FILES, '""')
    harmless = 'CONFIG_INITRAMFS_SOURCE=""\nCONFIG_EXTRA_FIRMWARE=\n'
    assert adapt(harmless, None) == harmless


def test_identity():
    """Of what is given: the text and what it is merged over."""
    assert identity("CONFIG_A=y\n", "none") == identity("CONFIG_A=y\n", "none")
    assert len({identity("a", "none"), identity("a", "tinyconfig"), identity("b", "none")}) == 3
