"""How the runs of one revision are to tell whether they reached the crash's code; what can be said before any run."""

from dataclasses import dataclass
from typing import Any

from firstbad.history.git import Repo
from firstbad.kernel.artifacts import Built
from firstbad.kernel.functions import TEXT, functions
from firstbad.session.outcome import Reached
from firstbad.session.reach import Stack, in_order, reached
from firstbad.session.source import Source
from firstbad.vm import MachineRun, Watched


@dataclass(frozen=True)
class Aim:
    """``functions``: what the crash's functions are called here, guilty first; where they are watched only those that
    this kernel has. ``verdict``: what is known without a run, ``absent`` or False; ``why`` says how, or why nothing
    can be known. ``watched`` goes to the machines.
    """

    functions: tuple[str, ...] = ()
    verdict: Reached = None
    why: str = ""
    watched: Watched | None = None

    def reached(self, run: MachineRun) -> Reached:
        """What a clean run says."""
        return self.verdict if self.verdict is not None else reached(run.ran, self.functions)

    def to_event(self) -> dict[str, Any]:
        """As event data."""
        return {"functions": list(self.functions), "verdict": self.verdict, "why": self.why}


class Aims:
    """Aims at revisions, each made once. ``start`` is where the crash was seen."""

    def __init__(self, repo: Repo, start: str) -> None:
        self.source = Source(repo, start)
        self._made: dict[tuple[str, str], Aim] = {}

    def at(self, commit: str, built: Built, stack: Stack, compiled: frozenset[str]) -> Aim:
        """The aim at a revision and its kernel. ``compiled``: files that the build of the start commit read."""
        key = (commit, built.key)
        if key not in self._made:
            self._made[key] = self._make(commit, built, stack, compiled) if stack.functions else Aim()
        return self._made[key]

    def _make(self, commit: str, built: Built, stack: Stack, compiled: frozenset[str]) -> Aim:
        guilty, *callers = stack.functions
        path = stack.sources.get(guilty, "")
        name = self.source.name_at(commit, guilty, path)
        if name is None:
            return Aim(stack.functions, "absent", f"the source has no {guilty}")
        here = (name, *callers)
        # Whether a file is compiled can be told only where the lists of the builds know it at all.
        if path in compiled and (read := built.compiled()):
            files = self.source.files_at(commit, name, path)
            if files and not read.intersection(files):
                return Aim(here, False, f"{files[0]} is not compiled")
        return self._watched(built, here, {name: path} | dict(stack.sources))

    def _watched(self, built: Built, here: tuple[str, ...], sources: dict[str, str]) -> Aim:
        found = functions(built.directory / "vmlinux", {*here, TEXT}, sources)
        text = found.pop(TEXT, ())
        if not text:
            return Aim(here, None, "the kernel's symbols are not known")
        wanted = {one: found[one] for one in in_order(here) if one in found}
        if not wanted:
            return Aim(here, None, "the compiler left none of these functions by itself")
        return Aim(tuple(one for one in here if one in found), None, "", Watched(wanted, text[0]))
