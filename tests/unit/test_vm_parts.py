import gzip
import platform
import stat
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbad.errors import UserError
from firstbad.payload import File, Payload
from firstbad.vm import Acceleration, Disk, MachineConfig, console, cpio, initramfs, probe_acceleration, protocol
from firstbad.vm.architecture import ADDRESSES_MB, qemu_command
from firstbad.vm.console import Console
from firstbad.vm.uml import uml_command

# -- cpio


def unpack(data: bytes) -> dict[str, tuple[int, bytes]]:
    """An independent reader of the format, by its description."""
    files = {}
    at = 0
    while True:
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        name = data[at + 110 : at + 110 + fields[11] - 1].decode()
        assert data[at + 110 + fields[11] - 1] == 0
        start = (at + 110 + fields[11] + 3) // 4 * 4
        if name == "TRAILER!!!":
            assert len(data) == start
            return files
        files[name] = (fields[1], data[start : start + fields[6]])
        at = (start + fields[6] + 3) // 4 * 4


@given(st.dictionaries(st.text("abc/.", min_size=1, max_size=9), st.binary(max_size=20), max_size=5))
def test_what_is_packed_can_be_unpacked(files: dict[str, bytes]) -> None:
    packed = cpio.archive(cpio.executable(name, data) for name, data in files.items())
    assert unpack(packed) == {name: (stat.S_IFREG | 0o755, data) for name, data in files.items()}


def test_the_initramfs_holds_init_and_a_console_and_is_the_same_each_time() -> None:
    packed = initramfs.pack(b"an init")
    files = unpack(gzip.decompress(packed))
    assert files["init"] == (stat.S_IFREG | 0o755, b"an init")
    assert stat.S_ISCHR(files["dev/console"][0])
    assert packed == initramfs.pack(b"an init")


def test_the_guest_init_is_built_once(tmp_path: Path) -> None:
    built = initramfs.build_initramfs(tmp_path / "new")
    before = built.stat()
    assert gzip.decompress(built.read_bytes()).find(b"\x7fELF") > 0
    assert initramfs.build_initramfs(tmp_path / "new") == built
    assert built.stat().st_ino == before.st_ino
    assert list(built.parent.iterdir()) == [built]


def test_no_compiler_for_init_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no-such-cc"):
        initramfs.build_initramfs(tmp_path, compiler="no-such-cc")


# -- frames


@given(st.lists(st.tuples(st.sampled_from([b"H", b"O", b"X"]), st.binary(max_size=50))), st.integers(1, 9))
def test_frames_survive_any_cutting(frames: list[tuple[bytes, bytes]], piece: int) -> None:
    stream = b"".join(protocol.encode(*frame) for frame in frames)
    decoder = protocol.Decoder()
    seen = [f for at in range(0, len(stream), piece) for f in decoder.feed(stream[at : at + piece])]
    assert [(f.type, f.payload) for f in seen] == frames


def test_a_giant_frame_is_refused_before_it_is_kept() -> None:
    with pytest.raises(protocol.ProtocolError):
        list(protocol.Decoder().feed(b"O\xff\xff\xff\xff"))


def test_a_payload_as_frames() -> None:
    payload = Payload((File("a", b"x", 0o644), File("/bin/b", b"")), ("/tmp/a", "", "é"), (("K", "v=1"),))
    frames = list(protocol.Decoder().feed(protocol.frames_of(payload)))
    assert [f.type for f in frames] == [b"F", b"F", b"C"]
    assert frames[0].payload == b"\xa4\x01\0\0\x06\0\0\0/tmp/ax"
    assert frames[1].payload == b"\xed\x01\0\0\x06\0\0\0/bin/b"
    assert frames[2].payload == b"\3\0\0\0\1\0\0\0/tmp/a\0\0\xc3\xa9\0K=v=1\0"


@pytest.mark.parametrize(
    "payload",
    [
        Payload((), ()),
        Payload((), ("/bin/x", "a\0b")),
        Payload((), ("/bin/x", *"y" * 300)),
        Payload((), ("/bin/x", "y" * 70_000)),
        Payload((File("a/../../init", b""),), ("/bin/x",)),
        Payload((File("a" * 300, b""),), ("/bin/x",)),
    ],
)
def test_a_payload_that_init_would_not_take(payload: Payload) -> None:
    with pytest.raises(ValueError, match=r"machine|NUL"):
        protocol.frames_of(payload)


@pytest.mark.parametrize(("status", "code"), [(0, 0), (3 << 8, 3), (9, 137), (11 | 128, 139)])
def test_wait_status(status: int, code: int) -> None:
    assert protocol.exit_status(status.to_bytes(4, "little")) == code


def test_a_wait_status_of_another_size_is_refused() -> None:
    with pytest.raises(protocol.ProtocolError):
        protocol.exit_status(b"")


# -- command line


def test_the_command_line() -> None:
    config = MachineConfig(cpus=3, memory_mb=700, append="kasan_multi_shot  a=b")
    words = qemu_command(Path("-odd,name"), Path("/i"), config, Acceleration("tcg", ""), 7)
    assert words[:7] == ["setpriv", "--pdeathsig", "KILL", "--", "prlimit", "--core=0", "--fsize=0"]
    after = dict(pairwise(words))
    assert after["-kernel"] == str(Path.cwd() / "-odd,name")
    assert after["-smp"].startswith("3,sockets=3")
    assert after["-m"] == "700"
    assert "console=ttyS0" in after["-append"].split()
    assert after["-append"].endswith(" kasan_multi_shot a=b")
    assert "panic=-1" in after["-append"].split()
    assert after["-chardev"] == "socket,id=control,fd=7"
    assert after["-accel"].startswith("tcg")
    assert "-no-reboot" in words


@pytest.mark.parametrize("arch", ["x86_64", "aarch64", "riscv64"])
def test_machines_have_no_network(arch: str, tmp_path: Path) -> None:
    """-nodefaults takes the network device away that QEMU gives by itself; with an image it leads nowhere."""
    words = qemu_command(Path("/k"), Path("/i"), MachineConfig(arch=arch), Acceleration("tcg", ""), 7)
    assert "-nodefaults" in words
    assert "-no-user-config" in words
    assert not {"-netdev", "-nic", "-net"} & set(words)
    assert not any("net" in word for word in words if word.startswith("virtio"))
    (tmp_path / "disk").write_bytes(bytes(512))
    disk = MachineConfig(arch=arch, disk=Disk(tmp_path / "disk"))
    words = qemu_command(Path("/k"), Path("/i"), disk, Acceleration("tcg", ""), 7, ssh_port=2222)
    after = dict(pairwise(words))
    assert after["-netdev"] == "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:2222-:22"
    assert words.count("-netdev") == 1
    assert ",snapshot=on" in after["-drive"]


def test_user_mode_kernels_have_no_network(tmp_path: Path) -> None:
    words = uml_command(Path("/k"), Path("/i"), MachineConfig(arch="um"), 7, tmp_path)
    assert not any(word.startswith(("eth", "vec", "ubd", "hostfs", "mconsole")) for word in words)
    assert {"con=null", "ssl=null"} <= set(words)


def test_qemu_is_kept_small() -> None:
    words = qemu_command(Path("/k"), Path("/i"), MachineConfig(memory_mb=700), Acceleration("tcg", ""), 7)
    assert {"--core=0", "--fsize=0", f"--as={(700 + ADDRESSES_MB) << 20}"} <= set(words)
    sandbox = dict(pairwise(words))["-sandbox"].split(",")
    assert sandbox[0] == "on"
    assert {"spawn=deny", "elevateprivileges=deny", "obsolete=deny", "resourcecontrol=deny"} <= set(sandbox)


def test_kvm_has_its_own_processor_model() -> None:
    words = qemu_command(Path("/k"), Path("/i"), MachineConfig(), Acceleration("kvm", ""), 7)
    assert words[words.index("-cpu") + 1] == "host"


@pytest.mark.parametrize(("arch", "console"), [("aarch64", "ttyAMA0"), ("riscv64", "ttyS0")])
def test_other_architectures(arch: str, console: str) -> None:
    config = MachineConfig(arch=arch, append="a=b")
    words = qemu_command(Path("/k"), Path("/i"), config, Acceleration("tcg", ""), 7)
    assert f"qemu-system-{arch}" in words
    append = words[words.index("-append") + 1].split()
    assert {f"console={console}", "panic=-1", "a=b"} <= set(append)
    assert any("chardev=control" in word for word in words)


def test_a_guest_of_another_architecture_is_emulated(tmp_path: Path) -> None:
    other = "riscv64" if platform.machine() != "riscv64" else "x86_64"
    assert probe_acceleration(tmp_path, tmp_path, other).name == "tcg"


def test_init_for_another_architecture_needs_its_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="apt-get install gcc-riscv64-linux-gnu libc6-dev-riscv64-cross"):
        initramfs.build_initramfs(tmp_path, arch="riscv64")


def test_an_unknown_architecture_is_the_users_error() -> None:
    with pytest.raises(UserError, match=r"vax.*x86_64"):
        qemu_command(Path("/k"), Path("/i"), MachineConfig(arch="vax"), Acceleration("tcg", ""), 7)


# -- console


def test_a_sign_is_found_across_pieces_and_timed() -> None:
    seen = Console(lambda text: b"BUG: here" in text)
    for now, piece in enumerate([b"fine\nBU", b"G: he", b"re\n", b"more\n"]):
        seen.feed(piece, now)
    assert (seen.crash_at, seen.last_at) == (2, 3)


def test_only_whole_lines_are_judged_until_the_end() -> None:
    asked: list[bytes] = []
    seen = Console(lambda text: asked.append(text) or False)  # type: ignore[func-returns-value]
    seen.feed(b"one\ntwo", 1)
    assert asked == [b"one\n"]
    seen.finish(2)
    assert asked[-1].endswith(b"two")


def test_a_sign_of_two_lines_is_seen_whole() -> None:
    seen = Console(lambda text: b"first\nsecond" in text)
    seen.feed(b"x" * 9000 + b"\nfirst\n", 1)
    seen.feed(b"second\n", 2)
    assert seen.crash_at == 2


def test_a_panic_is_always_a_sign() -> None:
    seen = Console(lambda _: False)
    seen.feed(b"[ 1.0] Kernel panic - not syncing: so\n", 5)
    assert seen.crash_at == 5
    assert seen.line_with(console.PANIC) == b"[ 1.0] Kernel panic - not syncing: so"


def test_a_flood_is_bounded_in_memory_and_file(tmp_path: Path) -> None:
    path = tmp_path / "console"
    with Console(lambda _: False, path) as seen:
        for number in range(300):
            seen.feed(b"%07d\n" % number * 8192, number)
        assert path.stat().st_size == console.HEAD_BYTES
    text = seen.text()
    assert path.read_bytes() == text
    assert len(text) <= console.HEAD_BYTES + 2 * console.TAIL_BYTES + 100
    assert text.startswith(b"0000000\n")
    assert text.endswith(b"0000299\n")
    assert b" bytes left out]\n" in text


def test_the_file_grows_while_the_machine_speaks(tmp_path: Path) -> None:
    path = tmp_path / "console"
    with Console(lambda _: False, path) as seen:
        seen.feed(b"half a li", 0)
        assert path.read_bytes() == b"half a li"


@given(st.lists(st.binary(max_size=30), max_size=20))
def test_any_bytes_are_kept_as_they_came(pieces: list[bytes]) -> None:
    seen = Console(lambda _: False)
    for piece in pieces:
        seen.feed(piece, 0)
    seen.finish(0)
    assert seen.text() == b"".join(pieces)
