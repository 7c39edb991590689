"""Builds of a miniature tree by real make and gcc; tests/acceptance builds real kernels."""

import functools
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.histories import History, miniature

from firstbad.disk import bytes_of_files
from firstbad.errors import BuildError, InfrastructureError, NotFoundError
from firstbad.history.git import Repo
from firstbad.kernel import places, process
from firstbad.kernel.artifacts import Artifacts, Built
from firstbad.kernel.build import Builder, Spec
from firstbad.kernel.buildlog import cause_of
from firstbad.kernel.config import machine_options
from firstbad.kernel.data import applies
from firstbad.kernel.signature import signature
from firstbad.kernel.toolchain import choose, names

VALUE = "include/value.h"


@pytest.fixture
def history(tmp_path):
    made = History(tmp_path / "repo")
    tree = miniature()
    made.commit("one", tree)
    made.commit("docs", {"README": "words"})
    made.commit("two", {VALUE: "#define VALUE 2\n"})
    made.commit("broken", {VALUE: "#define VALUE nonsense\n"})
    made.commit(
        "sleeps",
        {VALUE: "#define VALUE 3\n", "Makefile": tree["Makefile"] + "\n$(O)/main.o: wait\nwait:\n\tsleep 60\n"},
    )
    return made


@pytest.fixture
def builder(tmp_path):
    return make_builder(tmp_path / "place")


def make_builder(place: Path) -> Builder:
    return Builder(place / "builder", Artifacts(place / "artifacts", 1 << 30), place / "ccache", jobs=2)


SPEC = Spec("CONFIG_MINE=y\n", "tinyconfig")


def test_a_build_and_what_is_kept_of_it(history, builder):
    built = builder.build(Repo(history.path), history.commits["one"], SPEC)
    assert built.error == ""
    assert len(built.signature) == 64
    assert built.kernel.exists()
    assert built.compiler.startswith("gcc (")
    assert {"kernel/main.c", VALUE} <= built.compiled()
    assert not any(name.startswith("/") for name in built.compiled())
    config = (built.directory / "config").read_text()
    assert "CONFIG_TINY=y" in config
    assert "CONFIG_MINE=y" in config
    assert "CONFIG_VIRTIO_CONSOLE=y" in config
    again = builder.build(Repo(history.path), history.commits["one"], SPEC)
    assert again.cached
    assert again.key == built.key


def test_a_builder_is_for_any_number_of_repositories(history, builder, tmp_path):
    """Also where it last built a patched tree, of which it has itself only what the patch touched."""
    tree = miniature()
    history.commit("more", {"lib/only/here.c": "int here;\n"}, ["one"])
    patch = "--- a/include/value.h\n+++ b/include/value.h\n@@ -1 +1 @@\n-{}+#define VALUE 6\n"
    patched = replace(SPEC, patch=patch.format(tree[VALUE].splitlines(keepends=True)[0]).encode())
    one = builder.build(Repo(history.path), history.commits["more"], patched)
    other = History(tmp_path / "other")
    other.commit("own", {**tree, VALUE: "#define VALUE 5\n"})
    own = builder.build(Repo(other.path), other.commits["own"], SPEC)
    again = builder.build(Repo(history.path), history.commits["two"], SPEC)
    assert (one.error, own.error, again.error) == ("", "", "")
    assert len({one.signature, own.signature, again.signature}) == 3


def test_signatures_say_whether_the_code_is_the_same(history, builder, tmp_path):
    repo, commits = Repo(history.path), history.commits
    one, docs, two = (builder.build(repo, commits[name], SPEC) for name in ("one", "docs", "two"))
    assert one.signature == docs.signature
    assert one.signature != two.signature
    elsewhere = make_builder(tmp_path / "a" / "much" / "longer" / "place")
    assert elsewhere.build(repo, commits["two"], SPEC).signature == two.signature
    assert elsewhere.build(repo, commits["one"], SPEC).signature == one.signature, "and the order does not matter"


def test_a_wrong_incremental_build_does_not_survive(history, builder):
    """A header that is found earlier on the include path: make knows only the one that was read last time."""
    repo, commits = Repo(history.path), history.commits
    shadow = history.commit("shadow", {"include/first/value.h": "#define VALUE 7\n"}, ["two"])
    two = builder.build(repo, commits["two"], SPEC)
    wrong = builder.build(repo, shadow, SPEC)
    assert wrong.signature == two.signature, "make saw it: this test tests nothing"
    clean = builder.build(repo, shadow, SPEC, fresh="clean")
    assert clean.signature != wrong.signature
    assert builder.build(repo, shadow, SPEC).signature == clean.signature, "the store holds the right one now"
    assert builder.build(repo, shadow, SPEC).kernel.read_bytes() == clean.kernel.read_bytes()
    assert builder.build(repo, shadow, SPEC, fresh="full").signature == clean.signature
    assert builder.build(repo, commits["two"], SPEC, fresh="clean").signature == two.signature
    assert builder.build(repo, commits["one"], SPEC).signature != two.signature, "and what was stale is gone"


def test_leftovers_that_do_not_fit_are_no_build_error(history, builder):
    """The object of a deleted source lies around and can't be linked: built from nothing, all is well."""
    repo = Repo(history.path)
    makefile = miniature()["Makefile"]
    picky = makefile.replace("\t$(CC) -nostdlib", "\ttest ! -e $(O)/old.o\n\t$(CC) -nostdlib")
    litters = picky + "\n$(O)/vmlinux: $(O)/old.o\n$(O)/old.o:\n\ttouch $@\n"
    before = history.commit("litters", {"Makefile": litters.replace("test ! -e", "test -e")}, ["one"])
    after = history.commit("picky", {"Makefile": picky, VALUE: "#define VALUE 9\n"}, ["one"])
    assert builder.build(repo, before, SPEC).error == ""
    assert builder.build(repo, after, SPEC).error == ""


def test_an_interrupted_build_is_not_built_on(history, builder):
    """A part of an object, newer than its source, is what a killed compiler leaves."""
    repo = Repo(history.path)
    builder.build(repo, history.commits["one"], SPEC)
    cancel = threading.Event()
    threading.Timer(1.0, cancel.set).start()
    with pytest.raises(process.GivenUp):
        builder.build(repo, history.commits["sleeps"], SPEC, cancel)
    place = places.places(builder.directory)[0]
    (place.out / "main.o").write_bytes(b"half of an object")
    built = builder.build(repo, history.commits["two"], SPEC)
    assert built.error == ""


def test_the_nearest_place(tmp_path):
    near, far = places.Place(tmp_path / "place-1"), places.Place(tmp_path / "place-2")
    for place, tree in ((near, "near"), (far, "far")):
        place.begin(("gcc",))
        place.end(places.Note(("gcc",), tree, 10, {"a.c": 1, "b.h": 8}))
    differs = {"near": {"a.c", "unread.c"}, "far": {"a.c", "b.h"}}

    def choose(made_from, changed, limit=1 << 30):
        return places.choose(tmp_path, made_from, changed, limit)

    assert choose(("gcc",), differs.get) == near
    assert choose(("gcc",), {"near": {"b.h"}, "far": {"a.c"}}.get) == far
    assert choose(("gcc",), lambda _: {"b.h"}) not in (near, far), "all is compiled again: better beside it"
    assert choose(("gcc",), lambda _: None) not in (near, far)
    assert choose(("clang",), differs.get) not in (near, far)
    (near.out / "vmlinux").write_bytes(bytes(1000))
    os.utime(near.directory / "note.json", (1, 1))
    assert choose(("clang",), differs.get, limit=1000) == near, "no room: what was used longest ago"
    places.drop(tmp_path, 500)
    assert places.places(tmp_path) == [far]


def test_a_build_that_fails_is_a_fact(history, builder):
    built = builder.build(Repo(history.path), history.commits["broken"], SPEC)
    assert "nonsense" in built.error
    assert ": error: " in built.error
    assert (built.directory / "build.log").exists()
    assert builder.build(Repo(history.path), history.commits["broken"], SPEC).cached
    assert builder.build(Repo(history.path), history.commits["two"], SPEC).error == ""


def test_cancelled_build_leaves_no_process(history, builder):
    cancel = threading.Event()
    threading.Timer(1.0, cancel.set).start()
    with pytest.raises(process.GivenUp):
        builder.build(Repo(history.path), history.commits["sleeps"], SPEC, cancel)
    assert with_mark(builder.directory) == []


def with_mark(directory: Path) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"FIRSTBAD_BUILDER={directory}".encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def kill_while_it_builds(history, builder, tmp_path) -> None:
    code = (
        "import sys; sys.path.insert(0, '.')\n"
        "from pathlib import Path\n"
        "from tests.unit.test_kernel_build import SPEC, Repo, make_builder\n"
        f"make_builder(Path({str(tmp_path / 'place')!r})).build(Repo(Path({str(history.path)!r})), "
        f"{history.commits['sleeps']!r}, SPEC)\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parent.parent.parent)
    deadline = time.monotonic() + 60
    while not with_mark(builder.directory) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.5)
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()


def test_make_ends_with_its_owner(history, builder, tmp_path):
    kill_while_it_builds(history, builder, tmp_path)
    deadline = time.monotonic() + 20
    while with_mark(builder.directory) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert with_mark(builder.directory) == []


def test_compilers_of_a_killed_owner_are_ended(history, builder, tmp_path):
    kill_while_it_builds(history, builder, tmp_path)
    built = builder.build(Repo(history.path), history.commits["two"], SPEC)
    assert built.error == ""
    assert with_mark(builder.directory) == []


def test_a_builder_in_use_is_waited_for_and_named(builder):
    with process.builder_lock(builder.directory):
        other = process.builder_lock(builder.directory, patience=0.2)
        with pytest.raises(InfrastructureError, match=str(os.getpid())):
            other.__enter__()


def test_the_cause_is_preferred_to_what_make_says_of_it(tmp_path):
    log = tmp_path / "log"

    def cause(text):
        log.write_text(text)
        found = cause_of(log)
        return found.reason.split("\n")[0], found.infrastructure, found.explained

    told = "a.c:3:4: error: 'x' undeclared"
    assert cause(f"  CC a.o\nmake[2]: *** [a.o] Error 1\n{told}\na.c:9: error: more\n") == (told, False, True)
    assert cause("as: a.o: No space left on device\na.c:3:4: error: whatever\n")[1] is True
    told = "ld: a.o: in function `f': undefined reference to `g'"
    assert cause(f"{told}\nmake: *** [vmlinux] Error 1\n") == (told, False, True)
    assert cause("make: *** [a.o] Error 1\n") == ("make: *** [a.o] Error 1", False, False)
    assert cause("whatever\n") == ("whatever", False, False)
    assert cause("") == ("make failed and said nothing", False, False)


@pytest.mark.parametrize(
    "later", ["cc1: fatal error: out/main.s: No space left on device", "a.c:3: error: no", "", None]
)
def test_what_fails_without_a_word_is_asked_again(history, builder, later):
    """As ccache does on a full disk: it keeps what the compiler says in a file. ``later``: said the second time; None:
    then it builds."""
    recipe = "\n$(O)/main.o: once\nonce:\n\t@test -e $(O)/once || { touch $(O)/once; exit 1; }\n"
    if later is not None:
        recipe += f"\t@test -z '{later}' || echo '{later}' >&2; exit 1\n"
    commit = history.commit("silent", {"Makefile": miniature()["Makefile"] + recipe})
    build = functools.partial(builder.build, Repo(history.path), commit, SPEC)
    if later and "space" in later:
        with pytest.raises(InfrastructureError, match="No space left on device"):
            build()
        return
    built = build()
    if later is None:
        assert not built.error
    else:
        assert built.error.startswith(later or "make: *** [Makefile:"), built.error


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("make: *** [Makefile:18: out/main.o] Killed", 2),
        ("collect2: fatal error: ld terminated with signal 9 [Killed]\nmake: *** [vmlinux] Error 1", 2),
        ("a.c:3:4: warning: whatever", -9),
        ("make: /bin/sh: Input/output error\nmake: *** [main.o] Error 127", 2),
        ("cc1: fatal error: can't open out/main.s for writing: Read-only file system", 2),
    ],
)
def test_what_this_machine_did_to_a_build_is_no_fact_about_the_revision(tmp_path, said, status):
    (tmp_path / "log").write_text(f"{said}\n")
    assert cause_of(tmp_path / "log", (), status).infrastructure is True


def test_signature_of_what_is_no_kernel(tmp_path):
    (tmp_path / "vmlinux").write_bytes(b"\x7fELF but not really")
    with pytest.raises(BuildError, match="is not a kernel"):
        signature(tmp_path / "vmlinux")


def test_rules_are_bounded_by_releases():
    rule = {"from": "v5.10", "until": "v6.1"}
    assert [applies(rule, version) for version in ((5, 9, 0), (5, 10, 0), (6, 1, 0), (6, 1, 1), None)] == [
        False, True, True, False, True]  # fmt: skip
    assert "CONFIG_LOCALVERSION_AUTO=n\n" in machine_options((6, 12, 0))


def test_toolchains():
    assert choose((6, 12, 0)).identity.startswith("gcc (")
    assert "gcc-12" in names()
    with pytest.raises(NotFoundError, match="unknown toolchain"):
        choose(None, "tcc")


def test_store_of_builds_keeps_its_limit(tmp_path):
    store = Artifacts(tmp_path / "artifacts", 3000)
    for number in range(3):
        made = tmp_path / f"made{number}"
        made.mkdir()
        (made / "bzImage").write_bytes(b"k" * 100)
        (made / "vmlinux").write_bytes(b"v" * 2000)
        store.put(Built(f"key{number}", made, signature=str(number), compiler="gcc", seconds=1), made)
        os.utime(store.directory / f"key{number}" / "meta.json", (number, number))
    store.collect()
    assert bytes_of_files(store.directory) <= 3000
    assert (store.directory / "key2" / "vmlinux").exists(), "what was used last goes last"
    assert not (store.directory / "key0" / "vmlinux").exists()
    store.collect(limit=0)
    assert store.get("key1") is None
    assert store.get("nothing") is None
