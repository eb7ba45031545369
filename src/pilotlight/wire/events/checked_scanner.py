"""A scanner that reads each event as well: for streams that somebody else's code reads.

Libraries pass over an event that they can't read, or make nothing of it, and the text goes on
without it.  Whether they do is theirs; that there was such an event before the end mark is
seen here, and from then on nothing counts as an end.  Our own readers read every event
themselves and need no second look.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pilotlight.errors import ProviderFault
from pilotlight.wire.events.forms import odd_event, odd_evidence, usual_chunk
from pilotlight.wire.events.marks import ANTHROPIC, GEMINI, OPENAI
from pilotlight.wire.events.scanner import ERROR_LIMIT, Scanner
from pilotlight.wire.events.server_sent import FIELDS, MAX_LINE, TOO_LONG, LineEnds, read_event
from pilotlight.wire.events.template import Template, fits, template_of
from pilotlight.wire.tap import Wire

_NO_DATA: Final = "an event without its data"
_STRAY: Final = "a line that belongs to no event"
_LESSONS: Final = 8  # templates in a row that fitted nothing, before none is looked for
_PULSE: Final = (b"ping", b"alive", b"heartbeat")  # in the names of events that may be empty


class CheckedScanner(Scanner):
    """What can be told of a stream, and whether each of its events can be read.

    `several`: more than one answer was asked for, so that the end of one is not the end.
    `skip`: the user wants broken events left out; they are only counted.
    """

    __slots__ = (
        "_called",
        "_data",
        "_framed",
        "_lessons",
        "_line_feeds",
        "_several",
        "_skip",
        "_template",
        "_usual",
        "_wire",
    )

    def __init__(self, wire: Wire, *, several: bool = False, skip: bool = False) -> None:
        super().__init__(wire)
        self._wire = wire
        self._usual = usual_chunk() if wire == "openai" else None
        self._several = several
        self._skip = skip
        self._line_feeds = LineEnds()
        self._framed: bool | None = None  # whether these are events; None: nothing came yet
        self._called: bytes | None = None  # how the event is called that has not ended yet
        self._data: list[bytes] = []  # of the event that has not ended yet
        self._template: Template = ()  # of the last piece, if one like it would be as good
        self._lessons = _LESSONS

    def feed(self, data: bytes) -> int:
        """Take the next bytes; return how many signs of life were in them."""
        if self._template:
            if fits(self._template, data):
                self.contents += 1
                self._previous = data
                self._lessons = _LESSONS
                return 1
            self._template = ()
        if self.broken:
            return 1
        found = self._read_piece(data)
        if found == 1 and self._lessons and self._is_between_events() and data.isascii():
            self._lessons -= 1
            self._template = template_of(data)
        return found

    def _is_between_events(self) -> bool:
        """Tell whether all is well and nothing is left over: neither of a line nor of an event."""
        begun = self._carry or self._data or self._bare or self._called is not None
        done = self.terminal or self.error or self._error_event or self.troubled
        return not (begun or done)

    def _read_piece(self, data: bytes) -> int:
        before = self.contents
        if not self._dialect.ndjson:
            data = self._line_feeds(data)
            if data[-2:] == b"\n\n" and data[:5] == b"data:" and self._is_one_event(data):
                self._read(data[5:-2].strip())
                return self.contents - before
        for line in self._whole_lines(data).split(b"\n")[:-1]:
            if not self.broken:
                self._take(line)
        return self.contents - before

    def _is_one_event(self, data: bytes) -> bool:
        """Tell the usual case: one event of one line, whole, with nothing left over before it."""
        begun = self._carry or self._data or self._bare or not self._framed
        return not begun and self._called is None and data.count(b"\n") == 2

    def finish(self) -> None:
        """Take note that the body ended: the last event may lack its line ends."""
        rest = bytes(self._carry)
        self._carry.clear()
        if self.broken:
            return
        if rest:
            self._take(rest)
        if self._framed:
            self._dispatch()
            self._end_bare()

    def _piece(self) -> None:
        """Keep an overlong line, as its reader does, to a bound."""
        self.contents += 1
        if len(self._carry) > MAX_LINE:
            self._carry.clear()
            self._skip, self.over = False, False
            self._break(TOO_LONG)

    def _take(self, line: bytes) -> None:
        """Take one line of an event, or the empty one that ends it."""
        if self._dialect.ndjson:
            if line.strip():
                self._read(line)
        elif line.startswith(b"data:"):
            self._framed = True
            self._end_bare()
            self._data.append(line[5:].strip())
        elif not line:
            self._dispatch()
        elif line.startswith(b"event:"):
            self._framed = True
            self._begin(line[6:].strip())
        elif not line.startswith(FIELDS):
            self._stray(line)

    def _begin(self, name: bytes) -> None:
        if self._owes_data(self._called):
            self._break(_NO_DATA)
        self._name(name)
        self._called = name

    def _owes_data(self, name: bytes | None) -> bool:
        """Tell whether an event of this name has to have data."""
        if name is None or any(each in name for each in _PULSE):
            return False
        return self._dialect is ANTHROPIC or not name or b"response." in name

    def _stray(self, line: bytes) -> None:
        """Take a line that is no field: JSON without a frame, or what is left of an event."""
        bare = self._bare or line.lstrip()[:1] in (b"{", b"[")
        if self._framed is None and line.strip():
            self._framed = not bare
        if not self._framed:
            self._line(line)
        elif bare:  # a gateway's error, as it will turn out, or else nothing that anybody reads
            self._bare_json(line)
        else:
            self._break(_STRAY)

    def _end_bare(self) -> None:
        if self._bare and not self.error:
            self._bare = b""
            self._break(_STRAY)

    def _dispatch(self) -> None:
        """Take the end of an event."""
        name, self._called = self._called, None
        if self._data:
            data, self._data = b"\n".join(self._data), []
            self._read(data, name)
        elif self._owes_data(name):
            self._break(_NO_DATA)

    def _read(self, data: bytes, name: bytes | None = None) -> None:
        if self._usual is not None and not (name or self._error_event) and self._usual(data):
            self._follow(data)
            return
        if self._error_event or data == b"[DONE]":  # an error may be said in any words
            self._event(data)
            return
        try:
            event = read_event(data)
        except ProviderFault as fault:
            self._break(fault.evidence)
            return
        odd = odd_event(event, self._wire)
        if not odd and name and self._is_misnamed(event, name):
            odd = "name"
        if odd and not _is_error(event):
            self._break(odd_evidence(odd))
            return
        self._follow(data)
        if odd:
            self.error = self.error or data[:ERROR_LIMIT]

    def _is_misnamed(self, event: Mapping[str, Any], name: bytes) -> bool:
        """Tell whether an event of an API that names its events has another's name."""
        kind = event.get("type") or ""
        named = self._dialect is ANTHROPIC or kind.startswith("response.")
        return named and kind not in ("", name.decode("utf-8", "replace"))

    def _follow(self, data: bytes) -> None:
        """Take what an event says that can be read."""
        went_on = self.contents > 0 and not self.terminal
        self._event(data)
        if self.terminal and not self._several:
            # Gemini's end has no event of its own: some servers name one with every piece.
            self.over |= self._dialect is OPENAI or (self._dialect is GEMINI and went_on)

    def _break(self, what: str) -> None:
        """Note an event that can't be read: no end after it counts."""
        self.troubled = True
        if self.over:
            self.late = what
        elif self._skip:
            self.skipped += 1
        elif not self.broken:
            self.broken, self.terminal = what, False


def _is_error(event: Mapping[str, Any]) -> bool:
    return bool(event.get("error")) or event.get("type") == "error"
