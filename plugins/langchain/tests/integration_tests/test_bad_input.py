"""What the caller got wrong is told to the caller, and counts against no model."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from langchain_pilotlight import guard
from pilotlight import InvalidCall
from pilotlight.registry import REGISTRY

CUT = "zebra \ud83d"
CALL = {"name": "f", "args": {"what": CUT}, "id": "1"}
POISONS: list[tuple[Any, dict[str, Any]]] = [
    ([HumanMessage(CUT)], {}),
    ([HumanMessage([{"type": "text", "text": CUT}])], {}),
    ([HumanMessage("x"), AIMessage("y", tool_calls=[CALL]), HumanMessage("z")], {}),
    ("x", {"temperature": float("nan")}),
    ("x", {"stop": [CUT]}),
]


async def _astream(model, given, how):
    return [chunk async for chunk in model.astream(given, **how)]


async def ask(shape, model, given, how):
    if shape == "astream":
        return await _astream(model, given, how)
    if shape == "ainvoke":
        return await model.ainvoke(given, **how)
    return model.invoke(given, **how) if shape == "invoke" else list(model.stream(given, **how))


@pytest.mark.parametrize("shape", ["invoke", "ainvoke", "stream", "astream"])
@pytest.mark.parametrize(("given", "how"), POISONS)
async def test_what_can_not_be_sent_is_refused_and_blames_nobody(
    server, primary, local, shape, given, how
):
    guarded = guard(primary, fallback=local)
    for _ in range(6):
        with pytest.raises(InvalidCall) as caught:
            await ask(shape, guarded, given, how)
        assert "zebra" not in str(caught.value)
    assert not server.requests()
    for health in REGISTRY.records.values():
        assert health.breaker.state.window.calls == 0
    assert guarded.invoke("hello").text


@pytest.mark.parametrize("shape", ["invoke", "ainvoke", "stream", "astream"])
@pytest.mark.parametrize(("slip", "meant"), [("privat", "private"), ("temprature", "temperature")])
@pytest.mark.parametrize("bound", [False, True])
async def test_a_slip_of_the_keyboard_is_told_and_asks_nobody(
    server, primary, local, shape, slip, meant, bound
):
    guarded = guard(primary, fallback=local)
    how = {slip: True}
    model = guarded.bind(**how) if bound else guarded
    with pytest.raises(InvalidCall, match=f"{slip}.*did you mean {meant}="):
        await ask(shape, model, "x", {} if bound else how)
    assert not server.requests()


async def test_what_an_sdk_refuses_before_sending_blames_nobody(server, primary, local):
    guarded = guard(primary, fallback=local)
    for _ in range(6):
        with pytest.raises(TypeError):
            guarded.invoke("x", stop={"a"})
    assert not server.requests()
    assert guarded.invoke("hello").text
