"""One receipt as one line of JSON, and back.

What equals its default is left out, and so is `evidence`: it is scrubbed, but it is a
provider's wording all the same, and a log lives long.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from pilotlight.vocabulary.receipt import AttemptRecord, Receipt, SkipRecord

if TYPE_CHECKING:
    from pydantic import TypeAdapter

VERSION = 1  # rises when an older reader would misunderstand


@dataclass(frozen=True, slots=True)
class Kept(Receipt):
    """A receipt from a log; `process` tells the processes apart that wrote it."""

    v: int = VERSION
    process: str = ""

    @property
    def ended_at(self) -> float:
        """When the call was over, in seconds since the epoch."""
        return self.started_at + self.duration


def encode(receipt: Receipt, process: str) -> bytes:
    """Return the receipt as a line, its line break included."""
    data: dict[str, Any] = {"v": VERSION, "process": process} | receipt.to_dict()
    for name, defaults in _DEFAULTS.items():
        data[name] = [_brief(record, defaults) for record in data[name]]
    return json.dumps(data, separators=(",", ":")).encode() + b"\n"


def _brief(record: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in record.items() if key != "evidence"}
    return {key: value for key, value in kept.items() if value != defaults.get(key, MISSING)}


_DEFAULTS = {
    name: {each.name: each.default for each in fields(record) if each.default is not MISSING}
    for name, record in (("attempts", AttemptRecord), ("skipped", SkipRecord))
}


def decode(line: bytes | str) -> Kept | Literal["newer", "junk"]:
    """Return the receipt of a line; `junk` is torn or none at all, `newer` of a later version."""
    try:
        kept = _reader().validate_json(line)
    except ValueError:
        return "newer" if _version(line) > VERSION else "junk"
    if kept.v > VERSION:
        return "newer"
    times = [kept.started_at, kept.duration]
    times += [number for each in kept.attempts for number in (each.began, each.duration)]
    return kept if all(math.isfinite(t) and t >= 0 for t in times) else "junk"


def _version(line: bytes | str) -> int:
    try:
        version = json.loads(line)["v"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return 0
    return version if isinstance(version, int) else 0


@cache
def _reader() -> TypeAdapter[Kept]:
    from pydantic import TypeAdapter  # not needed to write

    return TypeAdapter(Kept)
