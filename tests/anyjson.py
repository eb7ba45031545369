"""Any JSON at any place of a body, also such as no library of ours would write."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any, Final

from hypothesis import strategies as st


class Raw(str):
    """JSON that `json.dumps` would not write."""

    __slots__ = ()


def nested(depth: int) -> Raw:
    return Raw("[" * depth + "]" * depth)


ODD: Final[list[Any]] = [
    Raw("1e999"), Raw("-1"), Raw("9" * 4000), Raw("9" * 5000), Raw('"\\ud800"'), Raw("NaN"),
    Raw('{"a":1,"a":2}'), nested(70), nested(500), nested(20_000), Raw('{"self":1,"get":2}'),
    Raw('{"model_dump":1,"__class__":2,"choices":3}'), Raw(""), [{}], [[]], {"error": None},
]  # fmt: skip
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(ODD)
)  # fmt: skip
ANY = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
LOST: Final = object()


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*at, key))


def put(body: Any, at: tuple[Any, ...], value: Any) -> Any:
    if not at:
        return value
    copied = copy.copy(body)
    if value is LOST and len(at) == 1:
        del copied[at[0]]
    else:
        copied[at[0]] = put(body[at[0]], at[1:], value)
    return copied


def written(value: Any) -> str:
    """Write JSON, with what is raw as it is."""
    if isinstance(value, Raw):
        return value
    if isinstance(value, dict):
        return "{%s}" % ",".join(f"{json.dumps(k)}:{written(v)}" for k, v in value.items())
    if isinstance(value, list):
        return "[%s]" % ",".join(map(written, value))
    return json.dumps(value)
