import os
import subprocess
import time
from pathlib import Path

import pytest

from firstbad.errors import NotFoundError, UserError
from firstbad.repro import Settings, compiler, confined, find_target, prepare


def test_c_becomes_a_static_program_and_is_compiled_once(tmp_path: Path) -> None:
    source = tmp_path / "crash.c"
    source.write_text("#include <pthread.h>\nint main(void) { return pthread_self() ? 5 : 1; }")
    first = prepare(source, tmp_path / "kept")
    assert first.kind == "c"
    assert subprocess.run([first.files[0][1]]).returncode == 5
    before = first.files[0][1].stat()
    again = prepare(source, tmp_path / "kept", Settings(compiler="gcc"))
    assert again == first
    assert again.files[0][1].stat().st_ino == before.st_ino
    assert list((tmp_path / "kept").iterdir()) == [first.files[0][1]]


def test_another_source_is_another_program(tmp_path: Path) -> None:
    source = tmp_path / "crash.c"
    source.write_text("int main(void) { return 1; }")
    first = prepare(source, tmp_path)
    source.write_text("int main(void) { return 2; }")
    second = prepare(source, tmp_path)
    assert first.files != second.files
    assert first.digest != second.digest
    # A program is taken as it is.
    as_is = prepare(second.files[0][1], tmp_path)
    assert as_is.kind == "program"
    assert as_is.payload() == second.payload()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("int main(void) {\n  return x;\n}", r"bad\.c:2: the reproducer does not compile: .x. undeclared"),
        ('#include "beside.h"\nint main(void) {}', r"bad\.c:1: .*beside\.h"),
        ("int f(void);\nint main(void) { return f(); }", r"bad\.c: .*undefined reference"),
    ],
)
def test_what_does_not_compile_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "beside.h").touch()
    source = tmp_path / "bad.c"
    source.write_text(text)
    with pytest.raises(UserError, match=message):
        prepare(source, tmp_path / "kept")
    assert not any((tmp_path / "kept").iterdir())


def test_nothing_is_run_on_this_host(tmp_path: Path) -> None:
    """Whatever a reproducer is: it is read, compiled and packed, and nothing of it has its turn here."""
    sprung = tmp_path / "sprung"
    opens = f'#include <fcntl.h>\n__attribute__((constructor)) void f(void) {{ open("{sprung}", O_CREAT, 0600); }}\n'
    made = tmp_path / "made.c"
    made.write_text(f"{opens}int main(void) {{ f(); }}")
    program, script = tmp_path / "program", tmp_path / "script"
    first = prepare(made, tmp_path / "kept")
    program.write_bytes(first.files[0][1].read_bytes())
    program.chmod(0o755)
    script.write_text(f"#!/bin/sh\ntouch {sprung}\n")
    script.chmod(0o755)
    busybox = tmp_path / "busybox"
    busybox.write_bytes(program.read_bytes())
    made_of = [first, prepare(program, tmp_path / "kept")]
    made_of.append(prepare(script, tmp_path / "kept", Settings(busybox=busybox)))
    assert [one.kind for one in made_of] == ["c", "program", "shell"]
    assert all(one.payload().files for one in made_of)
    assert not sprung.exists()
    subprocess.run([program], check=False)
    assert sprung.exists()  # so it would have been


@pytest.mark.skipif(not confined.available(), reason="this kernel has no Landlock")
@pytest.mark.parametrize(
    "text",
    [
        '#include "{file}"\nint main(void) {{}}',
        '#include "../../../../../../../../../..{file}"\nint main(void) {{}}',
        'asm(".incbin \\"{file}\\""); int main(void) {{}}',
        'asm(".irp x, bin\\n.inc\\\\x \\"{file}\\"\\n.endr"); int main(void) {{}}',
        'asm(".include \\"{file}\\""); int main(void) {{}}',
        '#include "/proc/self/environ"\nint main(void) {{}}',
        'asm(".incbin \\"/proc/self/environ\\""); int main(void) {{}}',
        '#include "/etc/passwd"\nint main(void) {{}}',
    ],
)
def test_a_source_takes_in_no_file_of_this_host(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    secret = tmp_path / "secret"
    secret.write_text("hunter2 root:x:0\n")
    source = tmp_path / "reads.c"
    source.write_text(text.format(file=secret))
    with pytest.raises(UserError) as told:
        prepare(source, tmp_path / "kept")
    assert "hunter2" not in str(told.value)
    assert "root:" not in str(told.value)
    assert not any((tmp_path / "kept").iterdir())


def fake_compiler(tmp_path: Path, script: str) -> str:
    path = tmp_path / "fake-cc"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_a_missing_static_library_has_a_way_out(tmp_path: Path) -> None:
    source = tmp_path / "fine.c"
    source.write_text("int main(void) {}")
    cc = fake_compiler(tmp_path, "echo '/usr/bin/ld: cannot find -lc: No such file' >&2; exit 1")
    with pytest.raises(UserError, match=r"no static x86_64 C library.*apt-get install .*libc6-dev"):
        prepare(source, tmp_path, Settings(compiler=cc))


def test_a_compiler_without_end_is_ended_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "SECONDS", 1.0)
    monkeypatch.setattr(compiler, "_CONFINED", unconfined := tmp_path / "unconfined.py")
    unconfined.write_text("import os, sys\nos.execvp(sys.argv[3], sys.argv[3:])\n")  # so that it may tell
    pid_file = tmp_path / "pid"
    cc = fake_compiler(tmp_path, f"sleep 100 & echo $! > {pid_file}; wait")
    with pytest.raises(Exception, match="took more than"):
        compiler.compile_c(b"", "x.c", find_target("", "x86_64"), cc)
    child = int(pid_file.read_text())
    end = time.monotonic() + 10  # the signal is sent, but a busy machine takes its time to deliver it
    while is_running(child) and time.monotonic() < end:
        time.sleep(0.02)
    assert not is_running(child)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_what_can_not_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"none\.c"):
        prepare(tmp_path / "none.c", tmp_path)
    script = tmp_path / "crash.txt"
    script.write_text("just words\n")
    with pytest.raises(UserError, match="neither C source"):
        prepare(script, tmp_path)
    with pytest.raises(UserError, match="linked dynamically"):
        prepare(Path(os.path.realpath("/bin/ls")), tmp_path)
    source = tmp_path / "fine.c"
    source.write_text("int main(void) {}")
    with pytest.raises(NotFoundError, match="no-such-cc"):
        prepare(source, tmp_path / "kept", Settings(compiler="no-such-cc"))
