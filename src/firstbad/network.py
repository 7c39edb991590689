"""Addresses that a service may connect to on others' behalf: public ones, and those that its administrator allows.

A name is resolved once, and that address is connected to: a second answer of a hostile name server is never asked for.
"""

import ipaddress
import os
import socket
from urllib.parse import SplitResult, urlsplit

from firstbad.errors import UserError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PORTS = {"https": 443, "http": 80, "ssh": 22}
# Addresses that hold another one, which is where packets go: 6to4 (RFC 3056), NAT64 (RFC 6052), Teredo (RFC 4380).
_HOLDING = [ipaddress.ip_network(text) for text in ("2002::/16", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32")]


def allowed_networks() -> tuple[Network, ...]:
    """Networks of ``$FIRSTBAD_ALLOW_NETWORKS`` (as ``10.1.0.0/16,fd00::/8``). Raises UserError for what is none."""
    text = os.environ.get("FIRSTBAD_ALLOW_NETWORKS", "")
    try:
        return tuple(ipaddress.ip_network(word.strip()) for word in text.split(",") if word.strip())
    except ValueError as error:
        raise UserError(f"FIRSTBAD_ALLOW_NETWORKS: {error}; write networks as 10.1.0.0/16,fd00::/8") from None


def is_public(address: Address) -> bool:
    """Whether anybody on the internet may be meant by an address."""
    inner = getattr(address, "ipv4_mapped", None)
    if inner is not None:
        return is_public(inner)
    held = isinstance(address, ipaddress.IPv6Address) and any(address in network for network in _HOLDING)
    return address.is_global and not address.is_multicast and not address.is_reserved and not held


def url_parts(url: str, schemes: tuple[str, ...]) -> SplitResult:
    """A URL's parts, with a host, without a name or password in it. Raises UserError."""
    shown = url[:200]
    try:
        parts = urlsplit(url)
        port_is_fine = parts.port is None or 0 < parts.port < 65536
    except ValueError:
        raise UserError(f"{shown!r} is no URL") from None
    if parts.scheme not in schemes or not parts.hostname or not port_is_fine or not url.isprintable() or " " in url:
        raise UserError(f"{shown!r}: write a URL as {schemes[0]}://host/path ({', '.join(schemes)})")
    if parts.password is not None or (parts.username is not None and parts.scheme != "ssh"):
        raise UserError("no names and passwords in a URL: it is shown to others")
    return parts


def port_of(parts: SplitResult) -> int:
    """The port that a URL means; of http, https and ssh also where it names none. Raises KeyError for others."""
    return parts.port or _PORTS[parts.scheme]


def resolve(host: str, port: int) -> str:
    """An address of a host that may be connected to. Raises UserError where there is none, or any of them may not."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UserError(f"{host[:200]}: no such host ({error})") from None
    networks = allowed_networks()
    for *_, place in found:
        address = ipaddress.ip_address(str(place[0]).split("%")[0])
        inner = getattr(address, "ipv4_mapped", None) or address
        if not is_public(address) and not any(inner in network for network in networks):
            raise UserError(
                f"{host[:200]} is {address}, which is not on the public internet; the administrator allows networks by "
                "FIRSTBAD_ALLOW_NETWORKS"
            )
    return str(found[0][-1][0])
