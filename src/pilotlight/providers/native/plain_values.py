"""What a caller gives as plain JSON: the dialects take nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final


def plain(value: Any) -> Any:
    """Return JSON in plain dicts and lists; an SDK's own objects as they say it themselves."""
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is dict:
        return {name: v if type(v) in _SCALARS else plain(v) for name, v in value.items()}
    if isinstance(value, Mapping):
        return {name: plain(value[name]) for name in value}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    for base, made in _BASES:
        if isinstance(value, base):  # the member of an enum, say: JSON has what it stands for
            return made(value)
    dump = None if isinstance(value, type) else getattr(value, "model_dump", None)
    return value if dump is None else plain(dump(exclude_none=True))


def own_copy(value: Any) -> Any:
    """Return a value with dicts and lists of its own, however deep; objects stay what they are.

    litellm writes into what it is given: timings into `metadata`, for instance.
    """
    if type(value) is dict:
        return {name: own_copy(each) for name, each in value.items()}
    return list(map(own_copy, value)) if type(value) is list else value


def is_json(*values: Any) -> bool:
    """Tell whether values can be sent at all; what can't is the caller's mistake."""
    try:
        json.dumps(plain(values), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        return False
    return True


_BASES: Final[tuple[tuple[type, Callable[[Any], Any]], ...]] = (
    (str, str.__str__),  # not `str`, which an enum has made its own
    (int, int.__int__),
    (float, float.__float__),
)
_SCALARS: Final = frozenset((str, int, float, bool, type(None)))
