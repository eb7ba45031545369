"""What the caller has said, for whoever has to keep it out of what is written down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


class Texts(Sequence[str]):
    """The prompt's texts, gathered only if the scrubber asks for them."""

    def __init__(self, messages: Sequence[Any]) -> None:
        self._messages = messages
        self._texts: list[str] | None = None

    def _all(self) -> list[str]:
        if self._texts is None:
            self._texts = [text for message in self._messages for text in _strings(message)]
        return self._texts

    def __getitem__(self, index: Any) -> Any:
        return self._all()[index]

    def __len__(self) -> int:
        return len(self._all())


def _strings(value: Any) -> Iterator[str]:
    """Yield every string inside a message, whatever its shape."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if key not in ("role", "type"):
                yield from _strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner)
    elif (dump := getattr(value, "model_dump", None)) is not None:
        yield from _strings(dump())
