"""The exceptions of firstbad, as one tree.

::

    FirstbadError
    ├── UserError              what was asked for can't be done as asked; exit status 2
    │   ├── BusyError          another process works on it; nothing of this attempt is recorded
    │   │   └── LostLeaseError  it took over in the middle: this process went on without a sign of life
    │   └── NotFoundError      a file, revision, tool or job that was named does not exist
    ├── BisectionError         the bisection itself could not be done; exit status 1
    ├── HeldBackError          a report is not sent: a rule speaks against it; exit status 1
    ├── InfrastructureError    this machine failed (disk, git, a tool); says nothing about any revision
    │   └── LostMachineError   a virtual machine went away without telling; the run may be repeated
    └── BuildError             a revision does not build: a fact about the revision, not a failure of ours
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

_MACHINE = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.ENXIO, errno.ENODEV, errno.ESTALE),
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EACCES, errno.EPERM, errno.EBUSY, errno.ETXTBSY),
}
"""What the system says where disk, memory, processes, files or permissions fail; other errors are defects of ours."""


class FirstbadError(Exception):
    """Base of everything that firstbad raises on purpose; ``str()`` is one line fit for a person."""


class UserError(FirstbadError):
    """What was asked for can't be done as asked: names the file or option, the reason and the way out."""


class NotFoundError(UserError):
    """Something that was named (file, revision, tool, job) does not exist."""


class BusyError(UserError):
    """Another process works on the job: it, not this attempt, is what the record is about."""


class LostLeaseError(BusyError):
    """Another process has taken the job over: what this one still has to say of it is refused."""


class BisectionError(FirstbadError):
    """The input was fine, but the bisection could not be done.

    ``status`` says why as the machine-readable contracts do: ``not_reproduced`` or ``untestable``.
    """

    def __init__(self, reason: str, status: str = "untestable") -> None:
        super().__init__(reason)
        self.status = status


class HeldBackError(FirstbadError):
    """A report is not sent, or was not taken: which rule or which server speaks against it."""


class InfrastructureError(FirstbadError):
    """This machine failed (full disk, missing tool, broken git); says nothing about a revision."""


class LostMachineError(InfrastructureError):
    """A virtual machine went away without telling why; its run may be repeated."""


class BuildError(FirstbadError):
    """A revision does not build.

    ``first_error`` is the compiler's or linker's first error line, ``log`` the path of the whole build log.
    """

    def __init__(self, first_error: str, log: str = "") -> None:
        super().__init__(first_error)
        self.first_error = first_error
        self.log = log


def kind_of_error(error: BaseException) -> str:
    """The kind of result that an error is, in the words of the machine-readable contracts; "internal error" for one
    that is none of these."""
    if isinstance(error, UserError):
        return "unusable input"
    if isinstance(error, BisectionError):
        return error.status
    if isinstance(error, InfrastructureError):
        return "infra_failure"
    return "untestable" if isinstance(error, FirstbadError) else "internal error"


def not_killed(what: str, status: int) -> None:
    """Raise InfrastructureError where a program's exit status says that a signal ended it: then it has no answer."""
    if status < 0:
        raise InfrastructureError(f"{what} was ended by signal {-status} (no memory left?)")


@contextmanager
def machine_failures() -> Iterator[None]:
    """What fails within for want of disk, memory or permission is raised as InfrastructureError."""
    try:
        yield
    except OSError as error:
        if error.errno not in _MACHINE:
            raise
        where = f"{error.filename2 or error.filename}: " if error.filename else ""
        raise InfrastructureError(f"{where}{error.strerror}") from error
