"""An event stream cut into the data of its events (WHATWG HTML, 9.2.6), cut anywhere.

The standard passes over lines that are none of its fields.  In a stream from a model they are
what is left of an event that broke, and are handed on as events of their own: their reader
finds that they can't be read, and nothing is lost unseen.  Spaces alone keep a line alive.
"""

from __future__ import annotations

import json
from typing import Any, Final

from pilotlight.errors import ProviderFault

MAX_LINE: Final = 64 * 1024 * 1024  # bytes; no event of a provider comes near it
BOM: Final = b"\xef\xbb\xbf"
_DATA: Final = b"data:"
_NAME: Final = b"event:"
FIELDS: Final = (b":", b"event:", b"id:", b"retry:")  # besides the data


class LineEnds:
    """Makes every line end a line feed; the two halves of one may come apart."""

    __slots__ = ("_after_cr",)

    def __init__(self) -> None:
        self._after_cr = False

    def __call__(self, data: bytes) -> bytes:
        """Take the next bytes; return them with line feeds alone."""
        if (b"\r" not in data and not self._after_cr) or not data:
            return data
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
        self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


class LineKeeper:
    r"""Writes characters that some readers take for line ends as JSON does: U+2028 as `\u2028`.

    httpx's `iter_lines`, by which litellm reads most providers, cuts lines at every character
    that Unicode calls a line end.  In an event stream only CR and LF are, and in JSON such a
    character can only stand in a text.
    """

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""  # what may be the first bytes of such a character

    def __call__(self, data: bytes) -> bytes:
        """Take the next bytes, cut anywhere; return what is to be read."""
        data, self._rest = self._rest + data, b""
        if data.endswith(_HALVES):
            end = len(data) - (2 if data.endswith(_HALVES[0]) else 1)
            data, self._rest = data[:end], data[end:]
        if data.isascii():
            return data
        for character, escape in _LINE_ENDS:
            data = data.replace(character, escape)
        return data


_HALVES: Final = (b"\xe2\x80", b"\xe2", b"\xc2")
_LINE_ENDS: Final = tuple(
    (character.encode(), f"\\u{ord(character):04x}".encode())
    for character in ("\u0085", "\u2028", "\u2029")
)


class EventDecoder:
    """Takes the bytes as they come; events without data and all other fields are passed over."""

    __slots__ = ("_data", "_line_feeds", "_name", "_rest", "_size")

    def __init__(self) -> None:
        self._line_feeds = LineEnds()
        self._rest = bytearray()  # the line that has not ended yet
        self._data: list[bytes] = []  # of the event that has not ended yet
        self._size = 0  # of that data
        self._name: bytes | None = None  # the line of its name, where that is looked at

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes; return the data of the events that they complete.

        Raises ProviderFault for a line or an event of more than `MAX_LINE` bytes.
        """
        data = self._line_feeds(data)
        if (
            data[-2:] == b"\n\n"
            and data.startswith(_DATA)
            and data.count(b"\n") == 2
            and not (self._rest or self._data or self._name)
        ):
            return [data[5:-2].strip()]  # by far the usual case: one event of one line, whole
        end = data.rfind(b"\n") + 1
        if not end:
            self._rest += data
            check_length(len(self._rest))
            return []
        lines = bytes(self._rest) + data[: end - 1]
        self._rest[:] = data[end:]
        found: list[bytes] = []
        for line in lines.split(b"\n"):
            found += self._line(line)
        return found

    def finish(self) -> list[bytes]:
        """Take note of the end: the last event may lack its line ends."""
        rest = bytes(self._rest)
        self._rest.clear()
        return [*(self._line(rest) if rest else ()), *self._event()]

    def _line(self, line: bytes) -> list[bytes]:
        line = line.removeprefix(BOM)
        if line.startswith(_DATA):
            self._data.append(line[5:].strip())
            self._size += len(line)
            check_length(self._size)
            return []
        if not line:
            return self._event()
        return [] if line.startswith(FIELDS) or line.isspace() else [line]

    def _event(self) -> list[bytes]:
        if not self._data:
            return []
        data, self._data, self._size = self._data, [], 0
        return [b"\n".join(data)]


class NamedEventDecoder(EventDecoder):
    """For an API whose events all have a name, which their JSON repeats.

    A name that has lost its data, or has another event's, is handed on as an event of its own.
    """

    __slots__ = ()

    def _line(self, line: bytes) -> list[bytes]:
        if not line.startswith(_NAME):
            return super()._line(line)
        lost = [] if self._name is None else [self._name]
        self._name = line
        return lost

    def _event(self) -> list[bytes]:
        found, name = super()._event(), self._name
        self._name = None
        if name is None or (found and b'"%b"' % name[6:].strip() in found[0]):
            return found
        return [name, *found]


def check_length(size: int) -> None:
    """Refuse to hold a line of this size; raises ProviderFault."""
    if size > MAX_LINE:
        raise ProviderFault("malformed_response", evidence=TOO_LONG)


TOO_LONG: Final = f"an event of more than {MAX_LINE // 1024 // 1024} MB"


def read_event(data: bytes) -> dict[str, Any]:
    """Read the JSON object of one event.

    Raises ProviderFault, which never quotes JSON: that may hold what was said.
    """
    try:
        said = json.loads(data.decode())  # of bytes, `json` would let broken UTF-8 pass
    except (ValueError, RecursionError):
        raise _unread(data) from None
    if not isinstance(said, dict):
        evidence = f"an event that is a JSON {type(said).__name__} in place of an object"
        raise ProviderFault("malformed_response", evidence=evidence)
    return said


def _unread(data: bytes) -> ProviderFault:
    if data[:1] == b"{" and not data.rstrip().endswith(b"}"):
        evidence = f"an event whose JSON breaks off after {len(data)} bytes"
        return ProviderFault("stream_truncated", evidence=evidence)
    what = "an event that is no JSON"
    if data[:1] == b"<":
        what = "a page in place of an event"
    elif data[:1] in (b"{", b"["):
        what = "an event of broken JSON"
    return ProviderFault("malformed_response", evidence=f"{what}, {len(data)} bytes")
