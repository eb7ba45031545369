"""An event stream cut into the data of its events (WHATWG HTML, 9.2.6), cut anywhere."""

from __future__ import annotations

from typing import Final

_DATA: Final = b"data:"


class EventDecoder:
    """Takes the bytes as they come; events without data and all other fields are passed over."""

    __slots__ = ("_after_cr", "_data", "_rest")

    def __init__(self) -> None:
        self._rest = b""  # the line that has not ended yet
        self._data: list[bytes] = []  # of the event that has not ended yet
        self._after_cr = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes; return the data of the events that they complete."""
        if b"\r" in data or self._after_cr:
            data = self._with_line_feeds(data)
        if not self._rest and not self._data and data[-2:] == b"\n\n" and data.count(b"\n") == 2:
            data = data[:-2]  # by far the usual case: one event of one line, whole
            return [data[5:].strip()] if data.startswith(_DATA) else []
        *lines, self._rest = (self._rest + data).split(b"\n")
        found: list[bytes] = []
        for line in lines:
            if line.startswith(_DATA):
                self._data.append(line[5:].strip())
            elif not line and self._data:
                found += self._event()
        return found

    def finish(self) -> list[bytes]:
        """Take note of the end: the last event may lack its line ends."""
        rest, self._rest = self._rest, b""
        if rest.startswith(_DATA):
            self._data.append(rest[5:].strip())
        return self._event() if self._data else []

    def _event(self) -> list[bytes]:
        data, self._data = self._data, []
        return [b"\n".join(data)]

    def _with_line_feeds(self, data: bytes) -> bytes:
        """Make every line end a line feed; the two halves of one may come apart."""
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
        self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
