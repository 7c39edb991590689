"""Who may talk to whom: certificates of the fleet's own authority, on both sides of every line."""

from pathlib import Path
from typing import Any

from distributed import Security

from firstbad.errors import NotFoundError, UserError

NAMES = ("ca.pem", "cert.pem", "key.pem")


def security(address: str, directory: Path | None) -> Security | None:
    """From ``ca.pem``, ``cert.pem`` and ``key.pem`` of a directory. None for this machine's own address without one.

    Orders are pickles: whoever can give one can do anything on every host. Raises UserError where an address of a
    network is to be used without certificates, NotFoundError for a missing file.
    """
    if directory is None:
        host = address.partition("://")[2].rpartition(":")[0].strip("[]")
        if host in ("127.0.0.1", "::1", "localhost") and not address.startswith("tls:"):
            return None
        raise UserError(
            f"{address}: hosts of a fleet trust each other with everything, so lines between machines need "
            f"certificates; --tls DIR names a directory with {', '.join(NAMES)}"
        )
    files = [directory / name for name in NAMES]
    for file in files:
        if not file.is_file():
            raise NotFoundError(f"--tls: no such file: {file}")
    ca, cert, key = map(str, files)
    pairs = {
        f"tls_{role}_{what}": path
        for role in ("scheduler", "worker", "client")
        for what, path in (("cert", cert), ("key", key))
    }
    made: Any = Security
    found: Security = made(tls_ca_file=ca, require_encryption=True, **pairs)
    return found
