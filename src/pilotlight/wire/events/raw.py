"""A stream cut after each of its events, with the bytes of each as they came."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final, NamedTuple, Protocol

from pilotlight.wire.events.server_sent import EventDecoder, check_length

_BLANK_LINE: Final = re.compile(rb"(?>\r\n|\n|\r){2}")
_LINE_FEED: Final = re.compile(rb"\n")


class RawEvent(NamedTuple):
    """One event: its bytes, and the data in them, none of a comment."""

    raw: bytes
    data: tuple[bytes, ...]


class Decoder(Protocol):
    """Finds the data in bytes, see `EventDecoder`."""

    def feed(self, data: bytes) -> list[bytes]: ...

    def finish(self) -> list[bytes]: ...


class RawEvents:
    """Takes the bytes as they come, cut anywhere; nothing of them is lost or changed."""

    __slots__ = ("_decoder", "_end", "_rest", "_usual")

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._end = _BLANK_LINE if isinstance(decoder, EventDecoder) else _LINE_FEED
        self._usual = b"\n\n" if isinstance(decoder, EventDecoder) else b"\n"
        self._rest = bytearray()  # of the event that has not ended yet

    def feed(self, piece: bytes) -> list[RawEvent]:
        """Return the events that the next bytes complete.

        Raises ProviderFault for an event of more than `MAX_LINE` bytes.
        """
        rest, usual = self._rest, self._usual
        if not rest and piece.find(usual) == len(piece) - len(usual) and b"\r" not in piece:
            return [self._event(piece)]  # by far the usual case: one event, whole
        looked = max(0, len(rest) - 3)  # a blank line may have come in part
        rest += piece
        if not (ends := [found.end() for found in self._end.finditer(rest, looked)]):
            check_length(len(rest))
            return []
        whole = bytes(rest[: ends[-1]])
        del rest[: ends[-1]]
        return [self._event(whole[begin:end]) for begin, end in pairwise((0, *ends))]

    def _event(self, raw: bytes) -> RawEvent:
        return RawEvent(raw, tuple(self._decoder.feed(raw)))

    def finish(self) -> list[RawEvent]:
        """Take note of the end: the last event may lack its line ends."""
        rest = bytes(self._rest)
        self._rest.clear()
        data = (*(self._decoder.feed(rest) if rest else ()), *self._decoder.finish())
        return [RawEvent(rest, data)] if rest or data else []


class LineDecoder:
    """The lines of NDJSON."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that the next bytes complete."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [line for each in lines if (line := each.strip())]

    def finish(self) -> list[bytes]:
        """Take note of the end: the last line may lack its line end."""
        rest, self._rest = self._rest.strip(), b""
        return [rest] if rest else []
