"""Options of reproducers, targets, syz programs and scripts: everything but a real syzkaller and a real machine."""

import os
import subprocess
from pathlib import Path

import pytest

from firstbad.errors import FirstbadError, NotFoundError, UserError
from firstbad.home import Home
from firstbad.job import Job, load_job
from firstbad.repro import Options, Settings, elf, find_target, prepare, shell, syz
from firstbad.repro.options import read_options
from firstbad.repro.syzkaller import Syzkaller, build_syzkaller
from firstbad.session.reproducer import make_reproducer, settle

X86 = find_target("", "x86_64")

# -- options


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (
            '#{"threaded":true,"repeat":true,"procs":6,"slowdown":3,"sandbox":"none","close_fds":false}',
            {"threaded": True, "collide": False, "repeat": True, "procs": 6, "slowdown": 3, "sandbox": "none"},
        ),
        (
            "# {Threaded:true Collide:true Repeat:true Procs:8 Sandbox:setuid Fault:true FaultCall:2 FaultNth:7 "
            "EnableTun:true UseTmpDir:true HandleSegv:true WaitRepeat:true Debug:false Repro:false}",
            {"collide": True, "sandbox": "setuid", "fault": True, "fault_call": 2, "fault_nth": 7, "procs": 8},
        ),
        (
            "// {Threaded:false Repeat:false RepeatTimes:0 Procs:1 Slowdown:1 Sandbox: SandboxArg:0 Leak:true "
            "LegacyOptions:{Collide:false Fault:false FaultCall:0 FaultNth:0}}",
            {"threaded": False, "repeat": False, "sandbox": "", "leak": True, "fault": False},
        ),
        ('#{"procs":1,"sandbox":""}', {"threaded": False, "repeat": False}),  # Go leaves out what is false
    ],
)
def test_options_in_every_notation(line: str, wanted: dict[str, object]) -> None:
    found = read_options(f"# https://example.org/bug\n{line}\nwords()\n", "x")
    assert found is not None
    assert {key: getattr(found, key) for key in wanted} == wanted


@pytest.mark.parametrize("text", ["", "int main(void) {}", "// {", "# {a:b}", "#[1]", "//" + "{" * 100_000, "# {1}"])
def test_no_options(text: str) -> None:
    assert read_options(text, "x") is None


def test_nonsense_in_options_is_named() -> None:
    with pytest.raises(UserError, match=r"bug\.syz:2: option procs: .*64"):
        read_options('\n#{"procs":100000}', "bug.syz")
    with pytest.raises(UserError, match=r"option sandbox"):
        read_options("# {Threaded:true Sandbox:;reboot}", "x")


# -- targets


@pytest.mark.parametrize(
    ("userspace", "kernel", "name"),
    [("", "x86_64", "x86_64"), ("386", "x86_64", "i386"), ("", "arm64", "aarch64"), ("", "um", "x86_64")],
)
def test_targets_by_their_names(userspace: str, kernel: str, name: str) -> None:
    assert find_target(userspace, kernel).name == name


def test_no_such_target() -> None:
    with pytest.raises(UserError, match="no architecture 'vax'"):
        find_target("vax", "x86_64")
    with pytest.raises(UserError, match="a aarch64 kernel does not run i386 programs"):
        find_target("i386", "aarch64")


def test_a_program_of_another_architecture_is_refused(tmp_path: Path) -> None:
    header = bytearray(64)
    header[:5], header[0x12:0x14] = b"\x7fELF\x02", (183).to_bytes(2, "little")
    program = tmp_path / "x"
    program.write_bytes(header)
    with pytest.raises(UserError, match="is a program for aarch64, the machine is x86_64"):
        prepare(program, tmp_path)
    assert prepare(program, tmp_path, Settings(target=find_target("", "arm64"))).kind == "program"


def test_a_torn_executable_is_read_without_harm() -> None:
    for size in range(4, 80):
        with pytest.raises(UserError):
            elf.check_program(b"\x7fELF\x02" + b"\xff" * size, "x", X86)


def test_missing_32_bit_libraries_have_a_way_out(tmp_path: Path) -> None:
    source = tmp_path / "x.c"
    source.write_text("int main(void) {}")
    compiler = tmp_path / "cc"
    message = "/usr/include/features.h:515:12: fatal error: gnu/stubs-32.h: No such file or directory"
    compiler.write_text(f"#!/bin/sh\necho '{message}' >&2\nexit 1\n")
    compiler.chmod(0o755)
    settings = Settings(target=find_target("i386", "x86_64"), compiler=str(compiler))
    with pytest.raises(UserError, match=r"no static i386 C library.*apt-get install g\+\+-.*multilib"):
        prepare(source, tmp_path, settings)


def test_what_needs_a_32_bit_kernel_option_says_so(tmp_path: Path) -> None:
    program = tmp_path / "x"
    header = bytearray(64)
    header[:5], header[0x12:0x14] = b"\x7fELF\x01", (3).to_bytes(2, "little")
    program.write_bytes(header)
    made = prepare(program, tmp_path, Settings(target=find_target("i386", "x86_64")))
    assert "CONFIG_IA32_EMULATION=y" in made.config
    assert prepare(program, tmp_path).config == ""


# -- scripts


@pytest.mark.parametrize(
    ("first", "end"),
    [
        ("#!/bin/sh", "sh /tmp/reproducer.sh"),
        ("#! /bin/sh -e", "sh -e /tmp/reproducer.sh"),
        ("#!/usr/bin/env sh", "sh /tmp/reproducer.sh"),
        ("#!/bin/sh -e;reboot", "sh '-e;reboot' /tmp/reproducer.sh"),
    ],
)
def test_a_script_is_run_by_busybox(first: str, end: str) -> None:
    words = shell.command(f"{first}\necho\n".encode(), "x")
    assert words[:3] == ("/bin/busybox", "sh", "-c")
    assert words[3].endswith(f"&& exec /bin/busybox {end}")


@pytest.mark.parametrize("first", ["#!/bin/bash", "#!/usr/bin/env python3", "#!", "#!/usr/bin/env"])
def test_a_script_for_what_is_not_there(first: str) -> None:
    with pytest.raises(UserError, match=r"crash:1: asks for .*busybox"):
        shell.command(first.encode(), "crash")


def test_busybox_must_be_there_and_static(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "x"
    script.write_text("#!/bin/sh\n")
    with pytest.raises(UserError, match=r"linked dynamically.*busybox-static"):
        prepare(script, tmp_path, Settings(busybox=Path(os.path.realpath("/bin/ls"))))
    with pytest.raises(NotFoundError, match=r"busybox for aarch64.*reproducer\.busybox"):
        prepare(script, tmp_path, Settings(target=find_target("", "aarch64")))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotFoundError, match="apt-get install busybox-static"):
        prepare(script, tmp_path)


# -- syz programs

PROGRAM = '#{"threaded":true,"repeat":true,"procs":3,"sandbox":"namespace"}\n'
PROGRAM += "r0 = socket$inet(0x2, 0x1, 0x0)\nlisten(r0, 0x0)\n"


def built(*flags: str) -> Syzkaller:
    return Syzkaller("0" * 40, Path("/x/syz-execprog"), Path("/x/syz-executor"), frozenset(flags))


def test_a_syz_program_is_known_by_its_calls() -> None:
    assert syz.is_program(PROGRAM)
    assert syz.is_program("timer_create(0x0, 0x0, &(0x7f0000000000))\n")
    assert not syz.is_program("#include <stdio.h>\nmain()\n")
    assert not syz.is_program("just words\n")


def test_flags_are_those_that_the_revision_knows() -> None:
    options = read_options(PROGRAM, "x")
    assert options is not None
    old = syz.command(options, built("executor", "procs", "repeat", "sandbox", "threaded", "collide"), X86, 2)
    assert old == (
        "/tmp/syz-execprog", "-executor=/tmp/syz-executor", "-sandbox=namespace", "-procs=3", "-repeat=0",
        "-threaded=1", "-collide=0", "/tmp/program.syz",
    )  # fmt: skip
    new = syz.command(
        Options(repeat=False, fault=True, fault_call=1, fault_nth=4),
        built("executor", "arch", "os", "cover", "fault_call", "fault_nth", "procs", "repeat", "sandbox"),
        find_target("i386", "x86_64"),
        2,
    )
    assert new[2:-1] == (
        "-os=linux", "-arch=386", "-sandbox=none", "-procs=2", "-repeat=1", "-fault_call=1", "-fault_nth=4", "-cover=0"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "output", "seconds", "reason"),
    [
        (0, b"executed programs: 1", 1.0, ""),
        (None, b"executed programs: 0\n", 3.0, ""),
        (None, b"executed programs: 0\nexecuted programs: 0\n", 20.0, "executed no program in all the time"),
        (None, b"executed programs: 0\nexecuted programs: 90\n", 20.0, ""),
        (
            1,
            b"x executor failed 11 times: executor 1: exit status 67\nSYZFAIL: open(/proc)\n",
            11.0,
            "SYZFAIL: open(/proc)",
        ),
        (None, b"executed programs: 0\nexecutor failed, retrying\n", 2.0, "did not run: executor failed, retrying"),
        (None, b"executor failed, retrying\nCALL 0: signal 0, coverage 0 errno 22\n", 2.0, ""),
        (1, b"", 1.0, "exit status 1"),
    ],
)
def test_a_run_that_ran_nothing_is_no_clean_run(status: int | None, output: bytes, seconds: float, reason: str) -> None:
    found = syz.fault(status, output, seconds)
    assert reason in found
    assert bool(found) == bool(reason)


# -- building syzkaller, played by a Makefile

MAKEFILE = """\
GITREV=$(shell git rev-parse HEAD)
execprog:
\ttest -z "$$GOFLAGS" && test "$$GOPROXY" = off && test -z "$$SECRET"
\tmkdir -p bin/linux_$(TARGETVMARCH) && echo execprog $(GITREV) > bin/linux_$(TARGETVMARCH)/syz-execprog
executor:
\tmkdir -p bin/linux_$(TARGETARCH) && echo executor $(CFLAGS) > bin/linux_$(TARGETARCH)/syz-executor
"""


class Clone:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.git("init", "-q", ".")

    def git(self, *words: str) -> str:
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        self.path.mkdir(exist_ok=True)
        return subprocess.run(
            ["git", *identity, *words], cwd=self.path, check=True, capture_output=True, text=True
        ).stdout.strip()

    def commit(self, files: dict[str, str]) -> str:
        for name, text in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "x")
        return self.git("rev-parse", "HEAD")

    def state(self) -> list[tuple[str, float, int]]:
        return sorted((str(p), p.lstat().st_mtime, p.lstat().st_size) for p in self.path.rglob("*"))


TOOLS = {"tools/syz-execprog/execprog.go": 'var x = flag.Int("repeat", 1, "")\nvar y = flag.Bool("cover", false, "")\n'}


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clone:
    for name, text in (("go", "go version go1.19.8 linux/amd64"), ("g++", "g++ 12")):
        program = tmp_path / "path" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\necho '{text}'\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:{os.environ['PATH']}")
    monkeypatch.setenv("GOFLAGS", "-mod=mod")
    monkeypatch.setenv("SECRET", "x")
    return Clone(tmp_path / "clone")


def test_syzkaller_is_built_once_and_the_clone_is_left_alone(clone: Clone, tmp_path: Path) -> None:
    commit = clone.commit({"Makefile": MAKEFILE, **TOOLS})
    clone.commit({"Makefile": "broken"})
    before = clone.state()
    kept = tmp_path / "kept"
    (kept / "building-syzkaller-killed/go").mkdir(parents=True)
    made = build_syzkaller(clone.path, commit[:12], X86, kept)
    assert made.commit == commit
    assert made.execprog.read_text() == f"execprog {commit}\n"
    assert "-Wno-error" in made.executor.read_text()
    assert made.flags == {"repeat", "cover"}
    stamp = made.execprog.stat().st_mtime_ns
    assert build_syzkaller(clone.path, commit, X86, kept).execprog.stat().st_mtime_ns == stamp
    other = build_syzkaller(clone.path, commit, find_target("i386", "x86_64"), kept)
    assert other.executor.parent != made.executor.parent
    assert clone.state() == before
    assert not list(kept.glob("*/go"))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"Makefile": "execprog executor:\n\t@echo 'x.cc:1:2: error: no'; exit 1\n"}, r"x\.cc:1:2: error: no"),
        ({"Makefile": "execprog executor:\n\t@echo 'x.go:7: undefined: y'; exit 1\n"}, r"x\.go:7: undefined: y"),
        ({"Makefile": "execprog executor:\n\techo fine\n"}, "does not build: "),
        ({"Makefile": MAKEFILE, "go.mod": "module x\ngo 1.23.7\n"}, r"needs Go 1\.23 .*this machine has 1\.19"),
        ({"Makefile": MAKEFILE, "go.mod": "module x\ngo 1.16\n"}, "no vendor directory"),
    ],
)  # fmt: skip
def test_what_does_not_build_is_explained(clone: Clone, tmp_path: Path, files: dict[str, str], message: str) -> None:
    commit = clone.commit({**files, **TOOLS})
    with pytest.raises(UserError, match=message):
        build_syzkaller(clone.path, commit, X86, tmp_path)
    assert not list(tmp_path.glob("syzkaller-*"))


def test_what_is_no_syzkaller_is_refused(clone: Clone, tmp_path: Path) -> None:
    commit = clone.commit({"Makefile": "all:\n"})
    with pytest.raises(UserError, match="is no revision of syzkaller"):
        build_syzkaller(clone.path, commit, X86, tmp_path)
    with pytest.raises(NotFoundError, match="unknown revision"):
        build_syzkaller(clone.path, "1" * 40, X86, tmp_path)
    program = tmp_path / "x.syz"
    program.write_text("getpid()\n")
    with pytest.raises(UserError, match="needs a git clone of syzkaller"):
        prepare(program, tmp_path)


def test_no_go_is_said(clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = clone.commit({"Makefile": "all:\n"})
    place = tmp_path / "only-git"
    place.mkdir()
    for name in ("git",):
        (place / name).symlink_to(f"/usr/bin/{name}")
    monkeypatch.setenv("PATH", str(place))
    with pytest.raises(NotFoundError, match=r"go: not found.*apt-get install golang-go"):
        build_syzkaller(clone.path, commit, X86, tmp_path)


def test_a_syz_program_with_all_it_needs(clone: Clone, tmp_path: Path) -> None:
    commit = clone.commit({"Makefile": MAKEFILE, **TOOLS})
    program = tmp_path / "x.syz"
    program.write_text(PROGRAM)
    made = prepare(program, tmp_path, Settings(syzkaller=clone.path, options=(("repeat_times", 9),)))
    assert (made.kind, made.syzkaller) == ("syz", commit)
    assert [name for name, _ in made.files] == ["syz-execprog", "syz-executor", "program.syz"]
    assert made.command == ("/tmp/syz-execprog", "-repeat=9", "-cover=0", "/tmp/program.syz")
    assert "CONFIG_NET_NS=y" in made.config
    assert "executor failed" in made.fault(1, b"executor failed 11 times", 12)


# -- what a job says of its reproducer, and the other way round


def job(tmp_path: Path, text: str, name: str = "crash.syz", **more: object) -> Job:
    (tmp_path / "config").touch()
    (tmp_path / name).write_text(text)
    lines = [f"{key} = {value}" for key, value in more.items() if not isinstance(value, dict)]
    for table in ("machine", "reproducer"):
        lines += [f"[{table}]", *(f"{key} = {value}" for key, value in dict(more.get(table, {})).items())]
    file = tmp_path / "job.toml"
    file.write_text(f'repo = "."\nconfig = "config"\nrepro = "{name}"\n' + "\n".join(lines))
    return load_job(file)


def test_a_job_is_settled_by_its_reproducer(clone: Clone, tmp_path: Path) -> None:
    commit = clone.commit({"Makefile": MAKEFILE, **TOOLS})
    text = PROGRAM.replace('"procs":3', '"procs":3,"slowdown":4')
    place = Home(tmp_path / "home", 1 << 30)
    made = job(tmp_path, text, reproducer={"syzkaller": '"clone"', "procs": 5})
    reproducer = make_reproducer(place, made)
    settle(made, reproducer)
    assert made.reproducer.syzkaller_commit == commit
    assert made.machine.run_seconds == 120
    assert reproducer.options is not None
    assert (reproducer.options.procs, reproducer.options.sandbox) == (5, "namespace")
    # What the job says itself stays.
    made = job(tmp_path, text, machine={"run_seconds": 7}, reproducer={"syzkaller": '"clone"'})
    settle(made, make_reproducer(place, made))
    assert made.machine.run_seconds == 7


def test_no_syzkaller_is_named_where_none_is_needed(tmp_path: Path) -> None:
    made = job(tmp_path, "int main(void) { return 0; }", "x.c", reproducer={"syzkaller_commit": '"v1"'})
    settle(made, make_reproducer(Home(tmp_path / "home", 1 << 30), made))
    assert made.reproducer.syzkaller_commit == ""


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"syzkaller": '"none"'}, r"job\.toml: reproducer\.syzkaller: no such directory"),
        ({"busybox": '"none"'}, r"job\.toml: reproducer\.busybox: no such file"),
        ({"syzkaller_commit": '"--upload-pack=x"'}, r"reproducer\.syzkaller_commit: a revision can't begin with '-'"),
        ({"sandbox": '"jail"'}, r"reproducer\.sandbox"),
        ({"arch": '"vax"'}, "no architecture 'vax'"),
    ],
)
def test_a_wrong_reproducer_table_is_named(tmp_path: Path, fields: dict[str, str], message: str) -> None:
    with pytest.raises(FirstbadError, match=message):
        make_reproducer(Home(tmp_path / "home", 1 << 30), job(tmp_path, "int main;", "x.c", reproducer=fields))


def test_a_32_bit_program(tmp_path: Path) -> None:
    source = tmp_path / "x.c"
    source.write_text("#include <linux/ioctl.h>\n#include <sys/ioctl.h>\nint main(void) { return sizeof(long); }")
    try:
        made = prepare(source, tmp_path, Settings(target=find_target("i386", "x86_64")))
    except UserError as error:
        pytest.skip(str(error))
    assert subprocess.run([made.files[0][1]]).returncode == 4


@pytest.mark.parametrize("arch", ["aarch64", "riscv64"])
def test_a_program_for_another_architecture(tmp_path: Path, arch: str) -> None:
    source = tmp_path / "x.c"
    source.write_text("#include <pthread.h>\nint main(void) { return !pthread_self(); }")
    target = find_target("", arch)
    try:
        made = prepare(source, tmp_path, Settings(target=target))
    except FirstbadError as error:
        pytest.skip(str(error))
    elf.check_program(made.files[0][1].read_bytes(), "x", target)
