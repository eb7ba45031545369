"""The async shapes under another event loop than asyncio's: refused by name, nothing counted."""

from __future__ import annotations

import asyncio
import sys
from types import ModuleType, SimpleNamespace

import pytest
from ways import HELLO, decorated

from pilotlight.errors import InvalidCall
from pilotlight.routes.route import Route
from pilotlight.testing import ScriptedTarget


@pytest.fixture
def gpt(clock):
    return ScriptedTarget("gpt", "hi", clock=clock, concurrency=1)


@pytest.fixture
def route(gpt, clock):
    return Route("chat", (gpt,), clock=clock)


async def gathered(stream):
    return [item async for item in stream]


WAYS = {
    "acomplete": lambda route: route.acomplete(HELLO),
    "astream": lambda route: gathered(route.astream(HELLO)),
    "aembed": lambda route: route.aembed("hello"),
    "aimage": lambda route: route.aimage("a cat"),
    "decorated coroutine": lambda route: decorated("acomplete", route)(),
    "decorated generator": lambda route: gathered(decorated("astream", route)()),
}


def driven(coroutine) -> None:
    """Take the first step, as the scheduler of any other library does."""
    try:
        coroutine.send(None)
    except StopIteration:
        pass
    finally:
        coroutine.close()


def named(monkeypatch, name: str | None) -> None:
    """Let sniffio and the library be there, as far as can be seen."""
    if name is None:
        monkeypatch.setitem(sys.modules, "sniffio", None)
        return
    sniffio = ModuleType("sniffio")
    sniffio.current_async_library = lambda: name
    monkeypatch.setitem(sys.modules, "sniffio", sniffio)
    monkeypatch.setitem(sys.modules, name, ModuleType(name))


@pytest.mark.parametrize("library", ["trio", "curio", None])
@pytest.mark.parametrize("way", WAYS)
def test_another_loop_is_refused_by_its_name(route, gpt, monkeypatch, way, library):
    named(monkeypatch, library)
    with pytest.raises(InvalidCall, match=library or "no asyncio event loop") as caught:
        driven(WAYS[way](route))
    assert "asyncio backend" in str(caught.value)
    assert not gpt.calls
    health = gpt.health
    assert (health.bulkhead.inside, health.breaker.state.window.calls) == (0, 0)
    assert route.complete(HELLO).text == "hi"


def test_trio_as_a_guest_of_asyncio(route, gpt, monkeypatch):
    named(monkeypatch, "trio")

    async def main():
        with pytest.raises(InvalidCall, match="trio"):
            await route.acomplete(HELLO)

    asyncio.run(main())
    assert not gpt.calls


def test_asyncio_beside_an_imported_trio(route, monkeypatch):
    monkeypatch.setitem(sys.modules, "trio", ModuleType("trio"))
    monkeypatch.setitem(
        sys.modules, "sniffio", SimpleNamespace(current_async_library=lambda: "asyncio")
    )
    assert asyncio.run(route.acomplete(HELLO)).text == "hi"
