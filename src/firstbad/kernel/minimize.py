"""A configuration made smaller: which options beyond a baseline does the crash need?"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property

from firstbad.kernel.dotconfig import ON, switched_on, write_config
from firstbad.kernel.kconfig import Kconfig
from firstbad.kernel.slices import Enough, minimize

Values = dict[str, str]


@dataclass(frozen=True)
class Candidate:
    """A configuration to try: the baseline, and of the full one the ``options`` with what they depend on."""

    options: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Plan:
    """What there is to minimize between two configurations (values as of :func:`dotconfig.read_config`).

    ``likely`` are options that the crash probably needs: they are tried first, alone.
    """

    kconfig: Kconfig
    full: Values
    base: Values
    likely: Collection[str] = ()

    @cached_property
    def added(self) -> frozenset[str]:
        """Options that are built in in the full configuration and off in the baseline."""
        on = switched_on(self.base)
        return frozenset(name for name, value in self.full.items() if value == "y" and name not in on)

    @cached_property
    def leaves(self) -> list[str]:
        """Of those, the ones that nothing else added depends on, neighbours in the tree's menus beside each other.

        Left out are options that no configuration can set (they follow what selects them).
        """
        needed = frozenset(name for option in self.added for name in self._needs(option))
        options = self.kconfig.options
        leaves = [name for name in self.added - needed if name not in options or options[name].settable]
        return sorted(leaves, key=lambda name: (options[name].place if name in options else len(options) + 1, name))

    def _needs(self, name: str) -> frozenset[str]:
        """What an added option depends on that is added too."""
        return self.kconfig.needs(name, self.added.__contains__)

    def candidate(self, options: Collection[str]) -> Candidate:
        """The baseline with these options, what they depend on and, unless there are none, the full configuration's
        numbers and texts."""
        values = dict(self.base)
        if options:
            values |= {name: value for name, value in self.full.items() if value not in (*ON, "n")}
        extra = frozenset(options).union(*(self._needs(name) for name in options))
        for name in sorted(extra):
            for sibling in self.kconfig.siblings(name):
                values.pop(sibling, None)
            values.pop(name, None)
            values[name] = "y"
        return Candidate(tuple(sorted(options)), write_config(values))

    def whole(self) -> Candidate:
        """The full configuration itself."""
        return Candidate(tuple(sorted(self.added)), write_config(self.full))

    def minimize(self, holds: Callable[[Candidate], bool], max_steps: int = 0) -> Candidate:
        """The smallest configuration found of which ``holds`` is true, as it is of the full one.

        ``holds`` is asked at most ``max_steps`` times (0: no limit) and may raise ``slices.Enough``.
        """
        left, guess = self.leaves, sorted(self.added & frozenset(self.likely))
        if guess and len(self.candidate(guess).options) < len(left):
            try:
                if holds(self.candidate(guess)):
                    return self.candidate(guess)  # one of them may be idle, but that is not worth a build
            except Enough:
                return self.whole()
            if max_steps == 1:
                return self.whole()
            max_steps = max(0, max_steps - 1)
        kept = minimize(left, lambda some: holds(self.candidate([*some, *guess])), max_steps=max_steps)
        return self.whole() if len(kept) == len(left) else self.candidate([*kept, *guess])
