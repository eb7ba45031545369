"""One row of the tables that turn a provider's words into a fault."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pilotlight.vocabulary.faults import Fault
from pilotlight.wire.tap import Wire

Statuses = frozenset[int | None]

# None stands for an error without a status: an event inside a stream.
REFUSED: Final[Statuses] = frozenset({400, 403, 404, 410, 412, 413, 415, 422, 498, None})
CLIENT: Final[Statuses] = frozenset({*range(400, 500), None})
SERVER: Final[Statuses] = frozenset(range(500, 600))


@dataclass(frozen=True, slots=True)
class Row:
    """If everything that is given matches, it is this fault."""

    fault: Fault
    source: str  # where this kind was seen
    wires: frozenset[Wire] | None
    statuses: Statuses | None
    code: re.Pattern[str] | None
    wording: re.Pattern[str] | None


@dataclass(frozen=True, slots=True)
class Case:
    """What the rows are held against; all in lower case."""

    wire: Wire
    status: int | None
    codes: str = ""
    text: str = ""


def row(
    fault: Fault,
    source: str,
    statuses: Iterable[int | None] | None = None,
    wording: str | None = None,
    *,
    code: str | None = None,
    wires: Iterable[Wire] | None = None,
) -> Row:
    """Make a row; what is left out matches anything."""
    return Row(
        fault,
        source,
        None if wires is None else frozenset(wires),
        None if statuses is None else frozenset(statuses),
        None if code is None else re.compile(code),
        None if wording is None else re.compile(wording),
    )


def matches(candidate: Row, case: Case) -> bool:
    """Tell whether a row, apart from its wires and statuses, fits a case."""
    if candidate.code is not None and not candidate.code.search(case.codes):
        return False
    return candidate.wording is None or candidate.wording.search(case.text) is not None
