"""Minimization of a list by leaving slices out, with few tests of what is left."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
Holds = Callable[[list[T]], bool]


class Enough(Exception):
    """Raised by a predicate that wants no more questions: what is not known to be droppable stays."""


class TooManyChunksError(Exception):
    """More slices are needed than the caller allows; ``result`` is valid, but not as small as it could be."""

    def __init__(self, result: list[object]) -> None:
        super().__init__(f"{len(result)} elements are left in more slices than allowed")
        self.result = result


@dataclass
class _Slice(Generic[T]):
    items: Sequence[T]
    first: bool = False  # of its parent
    last: bool = False
    needed: bool = False  # whether its parent holds something that is needed


def minimize(
    items: Sequence[T],
    holds: Holds[T],
    *,
    max_steps: int = 0,
    max_chunks: int = 0,
    fixed: Callable[[T], bool] = lambda _: False,
) -> list[T]:
    """The elements without which ``holds`` would be false, in their order, those that are ``fixed`` among them.

    ``holds`` is true of all elements (never asked) and of whatever has all that are needed. It is asked at most
    ``max_steps`` times (0: no limit) and may raise Enough. Layer by layer each slice is left out: three slices at
    first (as many as steps, where the steps don't suffice to halve down to one element), then halves of those that
    could not be left out. Of n elements with k needed: at most 3 + 2k(1 + log2 n) questions.
    Raises TooManyChunksError when more than ``max_chunks`` slices (0: no limit) have to stay.
    """
    search = _Search(items, holds, max_steps, fixed)
    open_ = [item for item in items if not fixed(item)]
    steps_short = max_steps and open_ and math.log2(len(open_)) > max_steps
    layer = _split(open_, max_steps if steps_short else 3, needed=False)
    while layer:
        kept = search.layer(layer)
        if max_chunks and len(kept) > max_chunks:
            raise TooManyChunksError(list(search.whole(kept)))
        if search.over or all(len(part.items) < 2 for part in kept):
            return search.whole(kept)
        layer = [half for part in kept for half in _split(part.items, 2, needed=True)]
    return search.whole([])


class _Search(Generic[T]):
    def __init__(self, items: Sequence[T], holds: Holds[T], max_steps: int, fixed: Callable[[T], bool]) -> None:
        self.items, self.holds, self.max_steps, self.fixed = items, holds, max_steps, fixed
        self.steps, self.over = 0, False

    def whole(self, slices: Sequence[_Slice[T]]) -> list[T]:
        """What is fixed and what the slices hold, in the order of the input."""
        left = [item for part in slices for item in part.items]
        return _merged(self.items, left, self.fixed)

    def layer(self, slices: Sequence[_Slice[T]]) -> list[_Slice[T]]:
        kept: list[_Slice[T]] = []
        all_dropped = True  # of the earlier slices of the same parent
        for at, part in enumerate(slices):
            all_dropped = True if part.first else all_dropped
            # A slice without parts was tested when it was made; the last part of what is needed is needed.
            known = part.needed and ((part.first and part.last) or (part.last and all_dropped))
            if known or not self._ask(self.whole([*kept, *slices[at + 1 :]])):
                kept.append(part)
                all_dropped = False
        return kept

    def _ask(self, left: list[T]) -> bool:
        if self.over or (self.max_steps and self.steps >= self.max_steps):
            self.over = True
            return False
        self.steps += 1
        try:
            return self.holds(left)
        except Enough:
            self.over = True
            return False


def _split(items: Sequence[T], parts: int, needed: bool) -> list[_Slice[T]]:
    size = max(1, math.ceil(len(items) / parts))
    found = [_Slice(items[at : at + size], needed=needed) for at in range(0, len(items), size)]
    if found:
        found[0].first = found[-1].last = True
    return found


def _merged(items: Sequence[T], left: list[T], fixed: Callable[[T], bool]) -> list[T]:
    """Elements of ``left`` (in order, a part of ``items``) and the fixed ones, in the order of ``items``."""
    found, at = [], 0
    for item in items:
        if fixed(item):
            found.append(item)
        elif at < len(left) and left[at] is item:
            found.append(item)
            at += 1
    return found
