"""The first-parent line of the last commit, and where each segment leaves it and comes back to it."""

from dataclasses import dataclass

import numpy as np

from .segments import Bools, Ints, Segments


@dataclass(frozen=True)
class Line:
    """The first-parent line in segments; they are wholly on it or wholly off it."""

    segments: Ints
    """(l,) segments of the line, oldest first."""
    on: Bools
    """(segments,) whether a segment is on it."""
    entered: Ints
    """(segments,) the first segment of the line that contains the segment, as an index of ``segments``; l where the
    last commit does not contain it. On the line itself: its own index."""
    based: Ints
    """(segments,) the last segment of the line that the segment contains, -1 where it contains none. On the line
    itself: its own index."""

    @classmethod
    def of(cls, graph: Segments) -> "Line":
        """The line that ends with the last commit."""
        line, above = [], graph.first_above.tolist()
        segment = int(graph.of[-1]) if graph.count else -1
        while segment >= 0:
            line.append(segment)
            segment = above[segment]
        segments = np.array(line[::-1], dtype=np.int64)
        on = np.zeros(graph.count, dtype=bool)
        on[segments] = True
        parents, children = graph.above.flat.tolist(), graph.above.owners.tolist()
        entered = [len(line)] * graph.count
        based = [-1] * graph.count
        for index, segment in enumerate(reversed(line)):
            entered[segment] = based[segment] = index
        for child, parent in zip(reversed(children), reversed(parents), strict=True):
            if entered[child] < entered[parent]:
                entered[parent] = entered[child]
        for child, parent in zip(children, parents, strict=True):
            if based[child] < based[parent]:
                based[child] = based[parent]
        return cls(segments, on, np.array(entered, dtype=np.int64), np.array(based, dtype=np.int64))
