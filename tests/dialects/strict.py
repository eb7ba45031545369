"""Whether an API would take a body: the rules of the stand-ins in `chaos/`, and Mistral's."""

from __future__ import annotations

import re
from typing import Any

from pilotlight_chaos.strict import broken_rule

_MISTRAL_FIELDS = {"role", "content", "name", "tool_calls", "tool_call_id", "prefix"}


def taken(api: str, body: Any, model: str = "") -> None:
    broken = broken_rule(api, body, model)
    assert broken is None, broken.message


def mistral(body: Any) -> None:
    """Only its own fields; each call answered at once; ids of nine letters and digits."""
    waiting: list[str] = []
    for message in body["messages"]:
        assert message.keys() <= _MISTRAL_FIELDS
        if message["role"] == "tool":
            waiting.remove(message["tool_call_id"])
            continue
        assert not waiting
        waiting = [call["id"] for call in message.get("tool_calls") or ()]
        assert all(re.fullmatch("[a-zA-Z0-9]{9}", each) for each in waiting)
        assert len(set(waiting)) == len(waiting)
    assert not waiting
