"""What a call may ask for, and how urgent it is."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

Operation: TypeAlias = Literal["chat", "embeddings", "image"]
OPERATIONS: Final[tuple[Operation, ...]] = get_args(Operation)

Priority: TypeAlias = Literal["high", "normal", "low"]
PRIORITIES: Final[tuple[Priority, ...]] = get_args(Priority)  # the highest first
