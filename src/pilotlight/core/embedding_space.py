"""Embedding spaces: which targets' vectors may stand in one index.

Vectors of two models can't be compared, whatever their length: an index that holds both is
wrong without a word.  So targets stand in for one another only where they declare the same
space: the same open model at two places.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class EmbeddingSpace:
    """A declared space; the first answer of the process says how long its vectors are."""

    name: str
    size: int | None = None

    def agrees(self, size: int) -> bool:
        """Tell whether vectors of this length may be of the space."""
        if self.size is None:
            self.size = size
        return self.size == size


def together(first: EmbeddingSpace | None, other: EmbeddingSpace | None) -> bool:
    """Tell whether both are declared to be the same space."""
    return first is not None and other is not None and first.name == other.name
