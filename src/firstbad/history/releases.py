"""Release tags: which there are, their order, and the nearest one below a commit."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from firstbad.errors import UserError
from firstbad.history.git import Repo

Version = tuple[int, int, int]

# v6.1, v6.1-rc3, v5.15.10, v2.6.12-rc2: the tags of mainline and stable. Release candidates are no releases to walk
# back over: between them the merge window puts no finished state that others have tested.
MAINLINE = ("v{major}.{minor}", "v{major}.{minor}-rc{rc}", "v{major}.{minor}-rc{rc}.{patch}",
            "v{major}.{minor}.{patch}", "v{major}.{minor}.{patch}-rc{rc}")  # fmt: skip
_FIELD = re.compile(r"\{([a-z]{1,20})\}")
_LONGEST = 200  # characters of a tag
_FINAL = 1 << 60  # in place of a candidate's number, so that the release sorts after its candidates


@dataclass(frozen=True, order=True)
class Release:
    """A release; ordered as the kernel's releases are: v6.1-rc3 < v6.1 < v6.1.5 < v6.2.

    ``more`` are a vendor's own numbers, in the order in which they stand in the tag.
    """

    version: Version
    rc: int
    more: tuple[int, ...] = ()
    tag: str = ""

    @property
    def final(self) -> bool:
        """Whether this is a release and not a release candidate."""
        return self.rc == _FINAL


class TagRule:
    """What the tags of a tree look like: any of some patterns.

    A pattern is a tag with ``{major}``, ``{minor}``, ``{patch}`` and ``{rc}`` in place of the kernel's numbers, any
    other ``{name}`` in place of a number of the vendor's, and everything else as it is: ``Ubuntu-{major}.{minor}.
    {patch}-{abi}.{upload}``. A number has up to 18 digits. Raises UserError for a pattern without ``{major}``.
    """

    def __init__(self, patterns: Sequence[str] = MAINLINE) -> None:
        self.patterns = tuple(patterns)
        self._rules = [_compile(pattern) for pattern in self.patterns]

    def parse(self, tag: str) -> Release | None:
        """The release that a tag names, None if it names none."""
        if len(tag) > _LONGEST:
            return None
        match = next((match for rule in self._rules if (match := rule.fullmatch(tag))), None)
        if match is None:
            return None
        numbers = {name: int(text) for name, text in match.groupdict().items()}
        version = (numbers.pop("major"), numbers.pop("minor", 0), numbers.pop("patch", 0))
        return Release(version, numbers.pop("rc", _FINAL), tuple(numbers.values()), tag)

    def globs(self) -> list[str]:
        """Patterns for git that let all of these tags through, and few others."""
        return list(dict.fromkeys(_FIELD.sub("*", pattern) for pattern in self.patterns))


@cache
def mainline() -> TagRule:
    """The rule for the tags of mainline and stable."""
    return TagRule()


def _compile(pattern: str) -> re.Pattern[str]:
    names = _FIELD.findall(pattern)
    if "major" not in names or len(set(names)) != len(names) or len(pattern) > _LONGEST:
        raise UserError(f"release_tags: {pattern!r}: must hold {{major}}, and each name once")
    # Two numbers side by side could be cut anywhere, and glob characters would be taken for such by git.
    rest = _FIELD.sub("\0", pattern)
    if "\0\0" in rest or re.search(r"[{}*?\[\]\\\s]", rest):
        raise UserError(
            f"release_tags: {pattern!r}: numbers must be set apart, and no blanks or any of {{}}*?[]\\ used"
        )
    # Git's own release numbers have no leading zeros, but dates in vendors' tags do.
    parts = [rf"(?P<{part}>[0-9]{{1,18}})" if index % 2 else re.escape(part)
             for index, part in enumerate(_FIELD.split(pattern))]  # fmt: skip
    return re.compile("".join(parts))


def parse_tag(tag: str) -> Release | None:
    """The release that a tag of mainline or stable names, None if it names none."""
    return mainline().parse(tag)


def previous_releases(
    repo: Repo, revision: str, rule: TagRule | None = None, oldest: Version | None = None
) -> list[Release]:
    """Final releases that the commit contains and is not itself, newest first; none older than ``oldest``."""
    rule = rule or mainline()
    tags = _lines(repo.git("tag", "--list", "--merged", revision, *rule.globs()))
    found = [release for tag in tags if (release := rule.parse(tag)) and release.final]
    own = set(_lines(repo.git("tag", "--points-at", revision)))
    kept = (release for release in found if release.tag not in own and (oldest is None or release.version >= oldest))
    return sorted(kept, reverse=True)


def releases_at(repo: Repo, revision: str, rule: TagRule | None = None) -> list[Release]:
    """Releases and candidates whose tag points at the commit, highest first."""
    rule = rule or mainline()
    tags = _lines(repo.git("tag", "--list", "--points-at", revision, *rule.globs()))
    return sorted((release for tag in tags if (release := rule.parse(tag))), reverse=True)


def _lines(text: str) -> list[str]:
    # A name may hold what Python takes for blanks or line ends, but none of ASCII's.
    return [line for line in text.split("\n") if line]


def base_release(repo: Repo, revision: str) -> Release | None:
    """The release a commit is built on: by tag if there is one, else by the tree's own Makefile."""
    done = repo.run("describe", "--tags", "--abbrev=0", "--match=v[0-9]*", revision, check=False)
    release = parse_tag(done.stdout.decode().strip()) if done.returncode == 0 else None
    return release or _from_makefile(repo.blob(revision, "Makefile") or "")


def _from_makefile(text: str) -> Release | None:
    fields = dict(re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL)[ \t]*=[ \t]*(\d{1,9})", text, re.MULTILINE))
    if "VERSION" not in fields:
        return None
    version = (int(fields["VERSION"]), int(fields.get("PATCHLEVEL", 0)), int(fields.get("SUBLEVEL", 0)))
    return Release(version, _FINAL, tag=f"v{version[0]}.{version[1]}")
