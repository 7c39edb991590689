"""Release tags: which there are, their order, and the nearest one below a commit."""

import re
from dataclasses import dataclass

from firstbad.history.git import Repo

# v6.1, v6.1-rc3, v5.15.10: the tags of mainline and stable. Release candidates are no releases to walk back
# over: between them the merge window puts no finished state that others have tested.
_TAG = re.compile(r"v(\d+)\.(\d+)(?:\.(\d+))?(?:-rc(\d+))?")


@dataclass(frozen=True, order=True)
class Release:
    """A release; ordered as the kernel's releases are: v6.1-rc3 < v6.1 < v6.1.5 < v6.2."""

    version: tuple[int, int, int]
    rc: int  # 1000 for a final release, so that it sorts after its candidates
    tag: str = ""

    @property
    def final(self) -> bool:
        """Whether this is a release and not a release candidate."""
        return self.rc == 1000


def parse_tag(tag: str) -> Release | None:
    """The release that a tag names, None if it names none."""
    match = _TAG.fullmatch(tag)
    if match is None:
        return None
    major, minor, patch, rc = match.groups()
    return Release((int(major), int(minor), int(patch or 0)), int(rc) if rc else 1000, tag)


def previous_releases(repo: Repo, revision: str) -> list[Release]:
    """Final releases that the commit contains and is not itself, newest first."""
    tags = repo.git("tag", "--list", "v*", "--merged", revision).split()
    found = [release for tag in tags if (release := parse_tag(tag)) and release.final]
    own = set(repo.git("tag", "--points-at", revision).split())
    return sorted((release for release in found if release.tag not in own), reverse=True)


def base_release(repo: Repo, revision: str) -> Release | None:
    """The release a commit is built on: by tag if there is one, else by the tree's own Makefile."""
    done = repo.run("describe", "--tags", "--abbrev=0", "--match=v[0-9]*", revision, check=False)
    release = parse_tag(done.stdout.decode().strip()) if done.returncode == 0 else None
    return release or _from_makefile(repo.blob(revision, "Makefile") or "")


def _from_makefile(text: str) -> Release | None:
    fields = dict(re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL)[ \t]*=[ \t]*(\d+)", text, re.MULTILINE))
    if "VERSION" not in fields:
        return None
    version = (int(fields["VERSION"]), int(fields.get("PATCHLEVEL", 0)), int(fields.get("SUBLEVEL", 0)))
    return Release(version, 1000, f"v{version[0]}.{version[1]}")
