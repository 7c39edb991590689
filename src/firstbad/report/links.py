"""Where a commit or a line of source can be read in a browser, by the address of its git repository."""

import re

_GITHUB = re.compile(r"(?:https://github\.com/|git@github\.com:)(?P<name>[\w.-]{1,100}/[\w.-]{1,100}?)(?:\.git)?/?")
_KERNEL_ORG = re.compile(r"(?:git|https)://git\.kernel\.org/(?P<name>[\w./~-]{1,300})")
_GOOGLESOURCE = re.compile(r"https://(?P<host>[\w-]{1,63})\.googlesource\.com(?:/(?P<name>[\w./-]{1,300}))?")
# Hosts whose cgit lies beside their git server.
_CGIT = re.compile(r"(?:git|https)://(?P<host>git\.kernel\.dk|git\.breakpoint\.cc)/(?P<name>[\w./-]{1,300})")


def commit_link(repo: str, commit: str) -> str:
    """The page of a commit (hash, branch or other revision); empty where the repository has no known browser."""
    if not commit:
        return ""
    if found := _GITHUB.fullmatch(repo):
        return f"https://github.com/{found['name']}/commit/{commit}"
    if found := _KERNEL_ORG.fullmatch(repo):
        return f"https://git.kernel.org/{found['name']}/commit/?id={commit}"
    if found := _GOOGLESOURCE.fullmatch(repo):
        return f"{_googlesource(found)}/+/{commit}^!"
    if found := _CGIT.fullmatch(repo):
        return f"https://{found['host']}/cgit/{found['name']}/commit/?id={commit}"
    return ""


def file_link(repo: str, commit: str, file: str, line: int) -> str:
    """The page of a source line at a commit; empty where the repository has no known browser."""
    if not commit:
        return ""
    if found := _GITHUB.fullmatch(repo):
        return f"https://github.com/{found['name']}/blob/{commit}/{file}#L{line}"
    if found := _KERNEL_ORG.fullmatch(repo):
        return f"https://git.kernel.org/{found['name']}/tree/{file}?id={commit}#n{line}"
    if found := _GOOGLESOURCE.fullmatch(repo):
        return f"{_googlesource(found)}/+/{commit}/{file}#{line}"
    if found := _CGIT.fullmatch(repo):
        return f"https://{found['host']}/cgit/{found['name']}/tree/{file}?id={commit}#n{line}"
    return ""


def _googlesource(found: re.Match[str]) -> str:
    # A host without a path has its main repository under its own name.
    return f"https://{found['host']}.googlesource.com/{found['name'] or found['host']}"
