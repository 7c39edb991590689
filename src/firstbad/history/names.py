"""Whether a text can be the address of a repository, the name of a branch, or a commit's hash."""

import re

_HOST = r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[0-9]{1,5})?"
_PATH = r"[\w.~%+-][\w.~%+/-]{0,1000}"
_ADDRESSES = (
    re.compile(rf"(?:git|https?|ssh|sso|git\+ssh)://(?:[\w.-]{{1,100}}@)?{_HOST}(?:/{_PATH})?/?", re.IGNORECASE),
    re.compile(rf"file:///{_PATH}"),
    # scp's way; some write a slash for the colon. No path from the host's root is meant by it.
    re.compile(rf"git@{_HOST}[:/]{_PATH}", re.IGNORECASE),
)
# 8 characters at least: what is shorter is ambiguous in a tree of the kernel's size. 64: SHA-256.
_HASH = re.compile(r"[0-9a-f]{8,40}|[0-9a-f]{64}")
_NO_BRANCH = re.compile(r"(?:^|/)\.|\.\.|//|\.lock(?:/|$)|@\{|[\x00-\x20\x7f~^:?*\[\\]|^[-/]|[/.]$|^@?$")


def is_repo_address(text: str) -> bool:
    """Whether git could clone from it: a URL with a known scheme, or ``git@host:path``. No path of this machine."""
    return any(pattern.fullmatch(text) for pattern in _ADDRESSES)


def is_branch(text: str) -> bool:
    """Whether a branch may be called so (git-check-ref-format(1)), and no option is meant by it."""
    return len(text) <= 255 and _NO_BRANCH.search(text) is None


def is_commit_hash(text: str) -> bool:
    """Whether it is a full hash, or enough of one (8 digits) to name one commit of a kernel tree."""
    return _HASH.fullmatch(text) is not None
