"""Embeddings and images by their own operation, and with no chat's labels."""

from __future__ import annotations

import pytest

from pilotlight.routes.route import Route
from pilotlight.testing import ScriptedTarget
from pilotlight.vocabulary.faults import Fault


@pytest.mark.parametrize(
    ("operation", "word", "more"),
    [
        ("embed", "embeddings", {"gen_ai.embeddings.dimension.count": 3}),
        ("image", "generate_content", {"gen_ai.output.type": "image"}),
        ("complete", "chat", {}),
    ],
)
def test_legs_are_named_by_the_operation(spy, operation, word, more):
    targets = ScriptedTarget("a", Fault.TIMEOUT, space="s"), ScriptedTarget("b", "ok", space="s")
    route = Route("r", targets)
    if operation == "embed":
        route.embed(["secret"], dimensions=3)
    elif operation == "image":
        route.image("secret")
    else:
        route.complete([{"role": "user", "content": "secret"}])
    legs = [span for span in spy.spans if span not in spy.calls]
    assert [leg.name for leg in legs] == [f"{word} a", f"{word} b"]
    for leg in legs:
        assert leg.attributes["gen_ai.operation.name"] == word
        assert more.items() <= dict(leg.attributes).items()
        assert "secret" not in str(dict(leg.attributes))
