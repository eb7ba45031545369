r"""Reading a body as it goes by: signs of life, the last word, a reported error.

The scanner sees every byte of every answer, so it works with `in` and compiled
patterns on whole lines and parses JSON only where a marker says that it may
matter.  That is safe because inside a JSON string a quote is always escaped:
`"done":true` in the text of an answer travels as `\"done\":true`, and a raw
line end cannot occur at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from pilotlight.wire.events.marks import (
    ANTHROPIC,
    BODY_ENDS,
    DIALECTS,
    OPENAI,
    USAGE,
    Dialect,
    search_for,
)
from pilotlight.wire.events.server_sent import MAX_LINE, TOO_LONG
from pilotlight.wire.tap import Wire

ERROR_LIMIT: Final = 4096
LINE_LIMIT: Final = 256 * 1024  # a longer line (an image in one event) is searched in pieces
OVERLAP: Final = 96  # no end mark is longer than this
WHOLE_LIMIT: Final = 64 * 1024  # bodies up to this size are kept, to verify their end mark


class Scanner:
    """What can be told of a body so far; feed it pieces cut anywhere."""

    __slots__ = (
        "_bare", "_carry", "_dialect", "_dropped", "_error_event", "_previous",
        "broken", "contents", "error", "late", "over", "skipped", "terminal", "troubled",
    )  # fmt: skip

    def __init__(self, wire: Wire) -> None:
        self._dialect = DIALECTS[wire]
        self._carry = bytearray()  # the line that has not ended yet
        self._dropped = 0  # bytes of that line which are not kept
        self._previous = b""  # the event before
        self._error_event = False  # `event: error` was seen, its data is next
        self._bare = b""  # JSON that stands in an event stream without `data:`
        self.contents = 0
        self.terminal = False
        self.over = False  # the end mark was seen, and nothing of the answer can follow it
        self.error = b""
        self.broken = ""  # why an event before the end mark can't be read
        self.late = ""  # the same of an event after it
        self.skipped = 0  # such events that were passed over because the user wants it so
        self.troubled = False  # one of the last three is set

    def feed(self, data: bytes) -> int:
        """Take the next bytes; return how many content events they completed."""
        before = self.contents
        if self._carry or not data.endswith(b"\n"):
            data = self._whole_lines(data)
        if data[-2:] == b"\n\n" and data.count(b"\n") == 2 and data[:5] == b"data:":
            self._event(data)  # by far the usual case: one event, whole
        else:
            for line in data.split(b"\n"):
                if line:
                    self._line(line)
        return self.contents - before

    def finish(self) -> None:
        """Take note that the body ended: the last line may lack its line end."""
        rest = bytes(self._carry)
        self._carry.clear()
        if rest:
            self._line(rest)

    def _whole_lines(self, data: bytes) -> bytes:
        """Hold back the unfinished line at the end."""
        end = data.rfind(b"\n") + 1
        if not end:
            self._carry += data
            if len(self._carry) > LINE_LIMIT:
                self._piece()
            return b""
        lines = bytes(self._carry) + data[:end]
        self._carry[:] = data[end:]
        self._dropped = 0
        return lines

    def _piece(self) -> None:
        """Search an overlong line and forget all of it that cannot matter any more."""
        piece = bytes(self._carry)
        self.contents += 1
        if self._dialect.terminal(piece):
            self.terminal = True
        self._dropped += len(piece) - OVERLAP
        if self._dropped > MAX_LINE:
            self.broken, self.troubled = TOO_LONG, True
        del self._carry[:-OVERLAP]

    def _line(self, line: bytes) -> None:
        if line.startswith(b"data:") or self._dialect.ndjson:
            self._event(line)
        elif line.startswith(b"event:"):
            self._name(line[6:].strip())
        elif not line.startswith((b":", b"id:", b"retry:", b"\r")):
            self._bare_json(line)
            if self._dialect.bare:
                self._event(line)

    def _name(self, name: bytes) -> None:
        """Take note of an event's name line; its data follows."""
        self._error_event = name == b"error"
        if name == b"message_stop" and self._dialect is ANTHROPIC:
            self.terminal = self.over = True

    def _event(self, line: bytes) -> None:
        dialect = self._dialect
        for search in dialect.content:
            if search(line):
                self.contents += 1
                break
        else:
            # Only here, as a search of every event costs, and an event with content is no error.
            if self._error_event or b'"error"' in line:
                self._maybe_error(line)
        if dialect.terminal(line) and _confirmed(dialect, line):
            self.terminal = True
            self.over = dialect.last
        elif b"[DONE]" in line[:16] and dialect is OPENAI and USAGE(self._previous):
            self.terminal = True  # some servers give no reason, but count the tokens
        self._previous = line

    def _bare_json(self, line: bytes) -> None:
        """Gather JSON that a gateway wrote straight into the stream: usually an error."""
        if self._bare or line.lstrip()[:1] in (b"{", b"["):
            self._bare = (self._bare + line + b"\n")[:ERROR_LIMIT]
            if _BARE_ERROR(self._bare):
                self.error = self._bare.strip()

    def _maybe_error(self, line: bytes) -> None:
        """Keep an error event; `"error":null` and the like are none."""
        payload = _payload(line)
        if self._error_event or _is_error(payload):
            self.error = self.error or payload[:ERROR_LIMIT]
        self._error_event = False


_FAILED: Final = "response.failed"  # the Responses API's word, with the error inside its response
_BARE_ERROR: Final = search_for(rb'^[\s\[]*\{\s*"error":\s*["{]')


def _is_error(payload: bytes) -> bool:
    event = _parsed(payload)
    if event is None:
        return bool(_BARE_ERROR(payload))
    kind = event.get("type")
    return bool(event.get("error")) or "error" in (event.get("object"), kind) or kind == _FAILED


def _payload(line: bytes) -> bytes:
    """Strip the framing of an event's data."""
    return (line[5:] if line.startswith(b"data:") else line).strip()


def _parsed(payload: bytes) -> Mapping[str, Any] | None:
    try:
        event = json.loads(payload)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def _confirmed(dialect: Dialect, line: bytes) -> bool:
    """Tell whether an end mark stands where it counts; what cannot be parsed is believed."""
    if dialect.ended is None:
        return True
    event = _parsed(_payload(line))
    return (event is None and not dialect.ndjson) or (event is not None and _safely(dialect, event))


def _safely(dialect: Dialect, event: Mapping[str, Any]) -> bool:
    assert dialect.ended is not None
    try:
        return dialect.ended(event)
    except (AttributeError, TypeError):  # an odd shape: believe the mark
        return True


class BodyScanner:
    """The same questions for a plain JSON body: only its end mark matters."""

    __slots__ = ("_dialect", "_kept", "_mark", "_seen", "_tail", "contents", "error", "terminal")
    over = False  # these five are said of streams alone
    broken = late = ""
    skipped = 0
    troubled = False

    def __init__(self, wire: Wire) -> None:
        self._dialect = DIALECTS[wire]
        self._mark = BODY_ENDS.get(wire, self._dialect.terminal)
        self._kept: bytes | None = b""  # the whole body, as long as it is small
        self._tail = b""  # of a large body: what may be the first half of the mark
        self._seen = False
        self.contents = 0
        self.terminal = False
        self.error = b""

    def feed(self, data: bytes) -> int:
        """Take the next bytes; a plain body has no events, so there are never any new ones."""
        if self._kept is not None:
            self._kept += data
            if len(self._kept) <= WHOLE_LIMIT:
                return 0
            data, self._kept = self._kept, None
        window = self._tail + data
        self._seen = self._seen or bool(self._mark(window))
        self._tail = window[-OVERLAP:]
        return 0

    def finish(self) -> None:
        """Take note that the body ended; only now does its mark count."""
        if self._kept is None:
            self.terminal = self._seen
        else:
            self.terminal = bool(self._mark(self._kept)) and _confirmed(self._dialect, self._kept)
