"""Compilers and other programs that make what machines run: bounded in time, ended with all that they started.

Kernels are built by :mod:`firstbad.kernel.process` (given up on demand, found again after a crash of ours), and the
tests of any project run by :mod:`firstbad.project.contained` (nothing that they start escapes).
"""

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from firstbad.errors import InfrastructureError, not_killed

_KEPT = 1 << 20
"""Bytes of output that are read back: the last ones, where the error is."""


def run_bounded(
    command: Sequence[str], directory: Path, seconds: float, what: str, *, env: Mapping[str, str], data: bytes = b""
) -> tuple[int, str]:
    """Exit status and output (both streams) of a command that runs in ``directory`` with ``data`` as its input.

    Of long output the last MiB. Raises FileNotFoundError where there is no such command, InfrastructureError when it
    can't be started, is killed, or takes more than ``seconds`` for ``what``.
    """
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=directory,
                env=env,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise
        except OSError as error:
            raise InfrastructureError(f"can't start {command[0]}: {error}") from error
        try:
            process.communicate(data, timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise InfrastructureError(f"{command[0]} took more than {seconds:.0f} s for {what}") from error
        finally:
            if process.returncode is None:
                # The driver's children (cc1, as, ld) too: they are its group.
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        output.seek(max(0, output.seek(0, os.SEEK_END) - _KEPT))
        not_killed(command[0], process.returncode)
        said = output.read().decode(errors="replace")
        if process.returncode and "Killed signal terminated program" in said:
            raise InfrastructureError(f"{command[0]} was killed (no memory left?)")
        return process.returncode, said
