"""What a revision's own files say of options: its Kconfig files, and which options its makefiles build a file for."""

import re
from collections.abc import Callable, Iterable, Iterator

from firstbad.errors import InfrastructureError
from firstbad.history.git import Repo
from firstbad.kernel.kconfig import Kconfig, parse_kconfig

Read = Callable[[str], str | None]
_ASSIGNED = re.compile(r"([\w./-]+?)-(?:y|m|objs|\$\((?:subst m,y,\$\()?CONFIG_(\w+)\)?\))[ \t]*[:+]?=[ \t]*(.*)")
_IF = re.compile(r"if(n?)(?:eq|def)\b(.*)")
_CONFIG = re.compile(r"CONFIG_(\w+)")
_LISTS = ("obj", "lib", "core", "drivers", "libs", "net", "virt")  # what a directory builds by itself


def read_kconfig(repo: Repo, commit: str, srcarch: str) -> Kconfig:
    """The options of a revision; ``srcarch`` is its directory of ``arch/``.

    Raises KconfigError, InfrastructureError.
    """
    texts = _texts(repo, commit, lambda path: path.rpartition("/")[2].startswith("Kconfig"))
    variables = {"SRCARCH": srcarch, "ARCH": srcarch, "srctree": ".", "HEADER_ARCH": srcarch}
    return parse_kconfig(texts.get("Kconfig", ""), variables, texts.get)


def options_of_files(repo: Repo, commit: str, files: Iterable[str]) -> frozenset[str]:
    """Options by which the makefiles of a revision decide whether these source files are built."""
    names = set(files)
    folders = {folder for name in names for folder in _folders(name)}
    wanted = {f"{folder}{name}" for folder in folders for name in ("Makefile", "Kbuild")}
    texts = _texts(repo, commit, wanted.__contains__)
    return frozenset(option for name in names for option in deciding(name, texts.get))


def deciding(file: str, read: Read) -> frozenset[str]:
    """Options on the way from the top of the tree to one source file; ``read`` gives a makefile's text."""
    found: set[str] = set()
    for folder in _folders(file):
        text = "".join(filter(None, (read(f"{folder}Makefile"), read(f"{folder}Kbuild"))))
        inside = re.sub(r"\.(c|S|rs)$", ".o", file[len(folder) :])
        goals = {inside}  # also from a directory further up: kvm-intel-y += vmx/vmx.o
        if "/" in inside:
            below = inside.partition("/")[0] + "/"
            goals |= {below, f"{below}built-in.a", f"{below}lib.a"}
        found |= _deciding_here(text.replace("\\\n", " "), goals, set())
    return frozenset(found)


def _deciding_here(text: str, goals: set[str], seen: set[str]) -> set[str]:
    """Options in a makefile that bring one of ``goals`` into what it builds, also as a part of another object."""
    found: set[str] = set()
    for prefix, options, listed in _lists(text):
        if goals.isdisjoint(listed):
            continue
        found |= options
        if prefix not in _LISTS and f"{prefix}.o" not in seen:
            seen.add(f"{prefix}.o")
            found |= _deciding_here(text, {f"{prefix}.o"}, seen)
    return found


def _lists(text: str) -> Iterator[tuple[str, set[str], list[str]]]:
    """A makefile's lists: name (``obj``), options that its entries depend on, entries."""
    around: list[tuple[set[str], set[str]]] = []  # options of the open conditions, and of their other branches
    for line in text.split("\n"):
        stripped = line.strip()
        condition, assigned = _IF.match(stripped), _ASSIGNED.match(stripped)
        if condition:
            options = set(_CONFIG.findall(condition[2]))
            negative = bool(condition[1]) != condition[2].rstrip().endswith(",)")
            around.append((set(), options) if negative else (options, set()))
        elif stripped.startswith("else") and around:
            around[-1] = (around[-1][1], around[-1][0])
        elif stripped.startswith("endif") and around:
            around.pop()
        elif assigned:
            prefix, option, listed = assigned.groups()
            outer = set().union(*(options for options, _ in around)) if around else set()
            yield prefix, outer | ({option} if option else set()), listed.split()


def _folders(file: str) -> list[str]:
    """The directories that hold a file, each with its slash, the top (empty) first."""
    parts = file.split("/")[:-1]
    return ["/".join(parts[:depth]) + "/" if depth else "" for depth in range(len(parts) + 1)]


def _texts(repo: Repo, commit: str, wanted: Callable[[str], bool]) -> dict[str, str]:
    """Texts of a revision's files by path, read by one git process."""
    listing = repo.run(
        "ls-tree", "-r", "-z", "--full-tree", "--format=%(objecttype) %(objectname)\t%(path)", commit
    ).stdout
    objects: dict[str, str] = {}
    for line in listing.decode("utf-8", "surrogateescape").split("\0"):
        facts, _, path = line.partition("\t")
        if facts.startswith("blob ") and wanted(path):
            objects[path] = facts.split()[1]
    asked = "".join(f"{name}\n" for name in objects.values())
    output = repo.run("cat-file", "--batch", binary_input=asked.encode()).stdout
    found, at = {}, 0
    for path, name in objects.items():
        end = output.find(b"\n", at)
        header = output[at:end].split()
        if len(header) != 3 or header[0].decode() != name:
            raise InfrastructureError(f"git cat-file failed for {path} at {commit[:12]}")
        at = end + 1 + int(header[2])
        found[path] = output[end + 1 : at].decode("utf-8", "replace")
        at += 1
    return found
