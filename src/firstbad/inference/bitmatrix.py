"""Ancestor sums by a bit matrix over segments, for graphs whose first-parent line explains little of them.

The matrix is kept as columns of packed bytes, and a sum over ancestors reads it through one table of 256 partial
sums per byte (eight segments). Time and memory grow with the square of the segments.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .segments import Bools, Floats, Rows

_BLOCK_BYTES = 32 << 20  # one block of the bit matrix
_CACHE_BYTES = 256 << 20  # above this the blocks are recomputed at every call instead of kept
_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little").astype(np.float64)


class BitMatrix:
    """Which segments each segment's head reaches."""

    def __init__(self, above: Rows) -> None:
        self._above: list[tuple[int, ...]] = list(above)
        self._blocks: list[tuple[int, NDArray[np.uint8]]] | None = None

    def sums(self, totals: Floats) -> Floats:
        """(segments, k): for each segment the sum of ``totals`` (segments, k) over all that it contains, itself too.

        Byte columns whose eight segments weigh nothing are skipped.
        """
        count, width = totals.shape
        padded = np.zeros((-(-count // 8) * 8, width))
        padded[:count] = totals
        octets = padded.reshape(-1, 8, width)
        weighty: Bools = np.asarray(octets.any(axis=(1, 2)))
        sums = totals.copy()
        for start, block in self._bit_blocks():
            for byte in np.flatnonzero(weighty[start : start + len(block)]):
                first = (start + int(byte)) * 8  # segments before the eight can't contain them
                sums[first:] += (_BITS @ octets[start + byte]).take(block[byte, first:], axis=0)
        return sums

    def _bit_blocks(self) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Blocks (first byte column, bits (byte columns, segments)) of "column is above row"."""
        if self._blocks is not None:
            yield from self._blocks
            return
        count = len(self._above)
        octets = -(-count // 8)
        step = max(1, _BLOCK_BYTES // max(count, 1))
        keep = octets * count <= _CACHE_BYTES
        made = []
        for start in range(0, octets, step):
            block = start, self._bit_block(start, min(start + step, octets))
            if keep:
                made.append(block)
            yield block
        if keep:
            self._blocks = made

    def _bit_block(self, start: int, end: int) -> NDArray[np.uint8]:
        """Byte columns start..end-1 of the bit matrix, transposed so that a column lies in one piece."""
        rows = np.zeros((len(self._above), end - start), dtype=np.uint8)
        for segment in range(8 * start, len(self._above)):
            row = rows[segment]
            for above in self._above[segment]:
                row |= rows[above]
                if 8 * start <= above < 8 * end:
                    row[above // 8 - start] |= 1 << (above % 8)
        return np.ascontiguousarray(rows.T)
