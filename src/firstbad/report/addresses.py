"""Mail addresses that are fit for a header and a server's command line, and those that want no mail from us."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from email.headerregistry import Address
from email.utils import parseaddr
from pathlib import Path

from firstbad.errors import UserError
from firstbad.report.hostile import header, one_line

# RFC 5321's dot-string and domain, of ASCII: a server is told nothing that needs quotes.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,64}"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL}){{0,10}}\Z")
_ADDRESS = re.compile(rf"{_ATOM}(?:\.{_ATOM}){{0,10}}@{_LABEL}(?:\.{_LABEL}){{1,10}}\Z")
_MESSAGE_ID = re.compile(r"<?([A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,150}@[A-Za-z0-9.:\[\]_-]{1,100})>?\Z")


def valid(address: str) -> str:
    """The address itself, empty if it is none that can be written to."""
    # An encoded word would be decoded when it is put into a header, see hostile.header.
    fits = len(address) <= 254 and len(address.split("@")[0]) <= 64 and "=?" not in address
    return address if fits and _ADDRESS.match(address) else ""


def person(text: str, field: str) -> Address:
    """Somebody's ``Name <address>``. Raises UserError that names the field."""
    name, address = parseaddr(text[:1000])
    if not valid(address):
        raise UserError(f"{field}: no mail address: {one_line(text)!r}; as in: Jo Doe <jo@example.org>")
    return Address(header(name, 100), addr_spec=address)


def shown(who: Address) -> str:
    """``Name <address>`` as it stands in a trailer: no quotes, no encoding."""
    name = who.display_name.translate(str.maketrans("", "", '<>"'))
    return f"{name} <{who.addr_spec}>" if name else who.addr_spec


def message_id(text: str, field: str) -> str:
    """A Message-ID in its brackets. Raises UserError that names the field."""
    found = _MESSAGE_ID.match(text.strip())
    if found is None or "=?" in text:
        raise UserError(f"{field}: no Message-ID: {one_line(text)!r}; as in: <20260101120000.1@example.org>")
    return f"<{found[1]}>"


@dataclass(frozen=True)
class OptOut:
    """Addresses and domains (with those below them) that get no mail."""

    addresses: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()

    @classmethod
    def read(cls, path: Path) -> "OptOut":
        """One a line, ``#`` begins a comment; a missing file is an empty list. Raises UserError for anything else:
        a line that is not understood may be somebody who wants no mail."""
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return cls()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: {error}") from None
        addresses, domains = set(), set()
        for number, line in enumerate(text.splitlines(), 1):
            entry = line.split("#", 1)[0].strip().lower()
            if valid(entry):
                addresses.add(entry)
            elif _DOMAIN.match(entry.removeprefix("@")):
                domains.add(entry.removeprefix("@"))
            elif entry:
                raise UserError(f"{path}: line {number}: neither an address nor a domain: {one_line(entry)!r}")
        return cls(frozenset(addresses), frozenset(domains))

    def holds(self, address: str) -> bool:
        """Whether this address wants no mail."""
        domain = address.lower().rpartition("@")[2].split(".")
        parents = {".".join(domain[i:]) for i in range(len(domain))}
        return address.lower() in self.addresses or not parents.isdisjoint(self.domains)


def fit(addresses: Iterable[str], optout: OptOut) -> tuple[list[str], list[str]]:
    """Those that are written to, each once, and a note about each of the others."""
    kept: dict[str, None] = {}
    notes = []
    for address in addresses:
        if not valid(address):
            notes.append(f"left out, not an address: {one_line(address)}")
        elif optout.holds(address):
            notes.append(f"left out, wants no mail: {address}")
        else:
            kept[address.lower()] = None
    return list(kept), notes
