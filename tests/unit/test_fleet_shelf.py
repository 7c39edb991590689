"""The shelf that hosts share: nothing on it is believed."""

from dataclasses import replace
from pathlib import Path

import pytest

from firstbad.errors import InfrastructureError, NotFoundError, UserError
from firstbad.fleet.orders import BuildOrder
from firstbad.fleet.security import security
from firstbad.fleet.shelf import Parcel, Shelf, SpoiledError
from firstbad.kernel.artifacts import Artifacts, Built
from firstbad.kernel.build import Spec


@pytest.fixture
def shelf(tmp_path):
    return Shelf(str(tmp_path / "shelf"))


@pytest.fixture
def built(tmp_path) -> Built:
    made = tmp_path / "made"
    made.mkdir()
    for name in ("bzImage", "vmlinux", "config", "build.log", "compiled"):
        (made / name).write_text(f"this is {name}")
    store = Artifacts(tmp_path / "builder", 1 << 30)
    return store.put(Built("k" * 32, made, "s" * 64, "gcc", 12.0, fixes=("abc",)), made)


@pytest.fixture
def here(tmp_path):
    return Artifacts(tmp_path / "here", 1 << 30)


def stored(shelf: Shelf, parcel: Parcel, name: str) -> Path:
    digest = parcel.files[name][0]
    return Path(shelf.root) / "files" / digest[:2] / digest


def test_what_is_laid_there_arrives(shelf, built, here):
    parcel = shelf.put(built)
    found = shelf.get(parcel, here)
    assert found.directory.parent == here.directory
    assert found.kernel.read_text() == "this is bzImage"
    assert (found.directory / "vmlinux").read_text() == "this is vmlinux"
    assert replace(found, directory=built.directory) == replace(built, fixes=("abc",))
    assert here.get(built.key).signature == "s" * 64


def test_equal_files_lie_there_once(shelf, built):
    shelf.put(built)
    shelf.put(built)
    assert len([path for path in Path(shelf.root, "files").rglob("*") if path.is_file()]) == 5
    assert not list(Path(shelf.root, "parts").iterdir())


@pytest.mark.parametrize("spoil", ["truncate", "swap", "remove", "size"])
def test_what_arrives_is_what_was_said_or_nothing(shelf, built, here, spoil):
    parcel = shelf.put(built)
    file = stored(shelf, parcel, "bzImage")
    if spoil == "truncate":
        file.write_text("this is bz")
    elif spoil == "swap":
        file.write_bytes(stored(shelf, parcel, "vmlinux").read_bytes()[:15])
    elif spoil == "remove":
        file.unlink()
    else:
        parcel = replace(parcel, files={**parcel.files, "bzImage": (parcel.files["bzImage"][0], 3)})
    with pytest.raises(SpoiledError, match="bzImage"):
        shelf.get(parcel, here)
    assert here.get(built.key) is None
    assert [path.name for path in here.directory.iterdir()] == []


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("../../evil", "a" * 64),
        ("a/b", "a" * 64),
        (".hidden", "a" * 64),
        ("bzImage", "../../etc/passwd"),
        ("x", "A" * 64),
    ],
)
def test_a_parcel_names_no_other_place(shelf, built, here, name, digest):
    parcel = shelf.put(built)
    with pytest.raises(SpoiledError):
        shelf.get(replace(parcel, files={name: (digest, 1)}), here)


def test_facts_that_nobody_knows_are_refused(shelf, built, here):
    parcel = shelf.put(built)
    with pytest.raises(SpoiledError, match="facts"):
        shelf.get(replace(parcel, facts=parcel.facts | {"evil": 1}), here)


def test_a_place_that_can_not_be_had():
    with pytest.raises(InfrastructureError, match="nosuch"):
        Shelf("nosuch://place")


def test_orders_are_known_by_what_they_say():
    one = BuildOrder("repository:linux", "a" * 40, Spec("CONFIG_A=y\n"))
    assert one.id == replace(one).id
    others = [
        replace(one, commit="b" * 40),
        replace(one, repo="/x"),
        replace(one, fresh="clean"),
        replace(one, again=1),
        replace(one, spec=Spec("CONFIG_B=y\n")),
        replace(one, spec=Spec("CONFIG_A=y\n", patch=b"x")),
    ]
    assert len({one.id, *(other.id for other in others)}) == 7


def test_lines_between_machines_need_certificates(tmp_path):
    assert security("tcp://127.0.0.1:8786", None) is None
    assert security("tcp://[::1]:8786", None) is None
    for address in ("tcp://10.0.0.1:8786", "tls://127.0.0.1:8786", "tcp://127.0.0.1.evil.example:1"):
        with pytest.raises(UserError, match="certificates"):
            security(address, None)
    with pytest.raises(NotFoundError, match=r"ca\.pem"):
        security("tls://10.0.0.1:8786", tmp_path)
