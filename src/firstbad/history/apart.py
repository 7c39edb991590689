"""git with a repository of ours in place of somebody's own: it sees that one's objects, and none of its settings.

A repository's configuration may name programs: filters, merge drivers, hooks. Where files are checked out or merged git
would run them, so that is done here, where the only settings are ours and the user's own.
"""

from pathlib import Path

from firstbad.history.git import Repo, one_of_a_list


def apart(repo: Repo, directory: Path) -> dict[str, str]:
    """The environment for git in ``directory``, where that repository is made (it takes some bytes). What git adds goes
    to ``repo.objects``, or to it. Raises OSError, InfrastructureError."""
    for name in ("objects", "refs"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    _put(directory / "HEAD", "ref: refs/heads/none\n")
    _settings(repo, directory / "config")
    return {
        "GIT_DIR": str(directory),
        "GIT_OBJECT_DIRECTORY": str(repo.objects or directory / "objects"),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": one_of_a_list(str(repo.common_dir() / "objects")),
    }


def promised(repo: Repo) -> list[tuple[str, str]]:
    """Settings by which a partial clone's missing files are fetched: where from, nothing of how."""
    found = []
    listed = repo.git("config", "-z", "--get-regexp", r"^remote\..*\.promisor$", check=False)
    for row in filter(None, listed.split("\0")):
        remote = row.partition("\n")[0].removeprefix("remote.").removesuffix(".promisor")
        url = repo.git("config", "--get", f"remote.{remote}.url", check=False).strip()
        found += [("core.repositoryFormatVersion", "1"), ("extensions.partialClone", remote)]
        found += [(f"remote.{remote}.url", url), (f"remote.{remote}.promisor", "true")]
    return found


def _settings(repo: Repo, file: Path) -> None:
    hashes = repo.git("rev-parse", "--show-object-format").strip()
    text = "[core]\n\trepositoryFormatVersion = {}\n{}"
    extension = f"[extensions]\n\tobjectFormat = {hashes}\n"
    _put(file, text.format(0, "") if hashes == "sha1" else text.format(1, extension))
    for key, value in promised(repo):
        repo.run("config", "-f", str(file.absolute()), key, value)


def _put(file: Path, text: str) -> None:
    if not file.exists() or file.read_text(errors="replace") != text:
        file.write_text(text)
