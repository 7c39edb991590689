"""Who is told about a commit: the people whom its message names as involved."""

import re
from email.utils import parseaddr

# "Reviewed-by:", "Acked-by:", "Tested-by:", "Reported-and-tested-by:", "Signed-off-by:" at the beginning of a line.
# "Cc:" and a plain "Reported-by:" name people who did not vouch for the commit.
_TAG = re.compile(
    r"(?:(?:\w{1,40}-and-)?(?:[Rr]eviewed|[Aa]cked|[Tt]ested)(?:-\w{1,40}){1,4}|Signed-off-by):"
    r"[ \t]*(?P<who>[^\n]{1,400})"
)
_ADDRESS = re.compile(r"[^\s@<>\"(),:;]{1,200}@[a-z0-9](?:[a-z0-9-]{0,62})(?:\.[a-z0-9-]{1,63}){1,8}")


def recipients(commit_message: str, author_email: str) -> tuple[list[str], list[str]]:
    """To and Cc for a commit: its author and those who signed, reviewed, acknowledged or tested it, all of them To.

    Addresses are lower-cased, sorted and unique.  What is no address, and the stable list, is dropped.  (Cc is for
    those whom MAINTAINERS adds.)
    """
    found = [author_email]
    for line in commit_message.splitlines():
        tag = _TAG.match(line)
        if tag:
            found.append(tag["who"])
    return sorted({address for address in map(address_of, found) if address}), []


def address_of(text: str) -> str:
    """The lower-case address in ``Name <address>`` or ``address``; empty if there is none, or it is nobody's."""
    _, address = parseaddr(text.split(" #", 1)[0].strip()[:400])
    address = address.lower()
    if not _ADDRESS.fullmatch(address) or address.startswith("stable@"):
        return ""
    return address
