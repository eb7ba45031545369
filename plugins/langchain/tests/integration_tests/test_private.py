"""A private call: at home or refused, whatever its shape, wherever it is read, whoever is named."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import product
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableBinding, RunnableLambda
from langchain_ollama import ChatOllama, OllamaEmbeddings
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

import pilotlight
from langchain_pilotlight import ChatPilotlight, FailoverMiddleware, guard, guard_embeddings
from pilotlight import ConfigError

from ..private_servers import AT_HOME, ELSEWHERE, SECRET, STUB, Server


@pytest.fixture(scope="module")
def home() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="module")
def world() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def _forget(home: Server, world: Server) -> None:
    home.left.clear()
    world.left.clear()


def hosted(world: Server) -> ChatOpenAI:
    return ChatOpenAI(model="gpt-4o", base_url=f"{world.url}/v1", api_key="k", max_retries=0)


def local(home: Server, model: str = AT_HOME, kind: type[ChatOllama] = ChatOllama) -> ChatOllama:
    return kind(model=model, base_url=home.url)


# Whatever the shape, and wherever it is read.


class Person(BaseModel):
    name: str


def look(place: str) -> str:
    """Look at a place."""
    return place


quiet = pytest.mark.filterwarnings(
    "ignore::langchain_core._api.LangChainBetaWarning",
    "ignore::langchain_core._api.LangChainDeprecationWarning",
)
SHAPES: dict[str, Callable[[Any], Any]] = {
    "invoke": lambda m: m.invoke(SECRET),
    "batch": lambda m: m.batch([SECRET, SECRET]),
    "batch_as_completed": lambda m: m.batch_as_completed([SECRET, SECRET]),
    "stream": lambda m: m.stream(SECRET),
    "transform": lambda m: m.transform(iter([SECRET])),
    "ainvoke": lambda m: m.ainvoke(SECRET),
    "abatch": lambda m: m.abatch([SECRET, SECRET]),
    "abatch_as_completed": lambda m: m.abatch_as_completed([SECRET, SECRET]),
    "astream": lambda m: m.astream(SECRET),
    "atransform": lambda m: m.atransform(_asteps()),
    "astream_events": lambda m: m.astream_events(SECRET, version="v2"),
    "astream_log": lambda m: m.astream_log(SECRET),
}
OF_MODELS: dict[str, Callable[[Any], Any]] = {
    "generate": lambda m: m.generate([[HumanMessage(SECRET)]]),
    "agenerate": lambda m: m.agenerate([[HumanMessage(SECRET)]]),
    "stream_events v3": lambda m: m.stream_events(SECRET, version="v3"),
    "astream_events v3": lambda m: m.astream_events(SECRET, version="v3"),
}
DERIVED: dict[str, Callable[[Any], Any]] = {
    "the model": lambda m: m,
    "bind": lambda m: m.bind(temperature=0.0),
    "bind, bind": lambda m: m.bind(temperature=0.0).bind(seed=1),
    "tools": lambda m: m.bind_tools([look]),
    "json_schema": lambda m: m.with_structured_output(Person, method="json_schema"),
    "include_raw": lambda m: m.with_structured_output(
        Person, method="json_schema", include_raw=True
    ),
    "with_config": lambda m: m.with_config(tags=["a"]),
    "with_retry": lambda m: m.bind(seed=1).with_retry(),
    "with_fallbacks": lambda m: m.with_fallbacks([m]),
    "piped": lambda m: m | StrOutputParser() | RunnableLambda(str),
    "pipe": lambda m: m.pipe(StrOutputParser()),
    "a chain of LangChain's own": lambda m: (
        ChatPromptTemplate.from_template("{q}") | m.model_copy(update={"private": True})
    ).with_config(tags=["a"]),
}


async def _asteps():
    yield SECRET


async def used(made: Any) -> None:
    """Await or read to the end what a call has made."""
    if inspect.isawaitable(made):
        made = await made
    if hasattr(made, "__aiter__"):
        async for _ in made:
            pass
    elif hasattr(made, "__next__") or hasattr(made, "__iter__"):
        list(made)


def _in_thread(made: Any) -> None:
    thread = threading.Thread(target=lambda: asyncio.run(used(made)))
    thread.start()
    thread.join()


def _in_executor(made: Any) -> None:
    with ThreadPoolExecutor(1) as executor:
        executor.submit(lambda: asyncio.run(used(made))).result()


async def _gathered(made: Any) -> None:
    await asyncio.gather(asyncio.create_task(used(made)), asyncio.sleep(0))


CARRIED: dict[str, Callable[[Any], None]] = {
    "here": lambda made: asyncio.run(used(made)),
    "thread": _in_thread,
    "executor": _in_executor,
    "gather": lambda made: asyncio.run(_gathered(made)),
    "a new context": lambda made: contextvars.Context().run(asyncio.run, used(made)),
}


def _kept(home: Server, world: Server) -> bool:
    asked, home.left[:] = list(home.left), []
    return not world.left and set(asked) == {AT_HOME}


EVERYWHERE = [*product(("the model", "piped"), CARRIED), *product(DERIVED, ("here", "thread"))]


@pytest.mark.parametrize(("derived", "carried"), sorted(set(EVERYWHERE)))
@quiet
def test_a_call_is_private_from_the_moment_it_is_made(home, world, derived, carried):
    runnable = DERIVED[derived](guard(hosted(world), local(home)))
    shapes = SHAPES | (OF_MODELS if derived == "the model" else {})
    for shape, make in shapes.items():
        with pilotlight.private():
            made = make(runnable)
        CARRIED[carried](made)
        assert _kept(home, world), shape


@pytest.mark.parametrize("carried", CARRIED)
@quiet
def test_a_configured_route_keeps_to_the_same_rule(home, world, carried):
    targets = {
        "gpt": {"model": "openai/gpt-4o", "api_base": f"{world.url}/v1", "api_key": "k"},
        "local": {"model": f"ollama/{AT_HOME}", "api_base": home.url},
    }
    config = {"targets": targets, "routes": {"chat": {"targets": ["gpt", "local"]}}}
    model = ChatPilotlight(config=config)
    for shape, make in (SHAPES | OF_MODELS).items():
        with pilotlight.private():
            made = make(model)
        CARRIED[carried](made)
        assert _kept(home, world), shape


@pytest.mark.parametrize("carried", CARRIED)
def test_embeddings_keep_to_the_same_rule(home, world, carried):
    hosted = OpenAIEmbeddings(
        model="m", base_url=f"{world.url}/v1", api_key="k", check_embedding_ctx_length=False
    )
    is_local = OllamaEmbeddings(model=AT_HOME, base_url=home.url)
    embeddings = guard_embeddings(hosted, is_local, space="m")
    for name in ("embed_query", "embed_documents", "aembed_query", "aembed_documents"):
        with pilotlight.private():
            made = getattr(embeddings, name)([SECRET] if name.endswith("documents") else SECRET)
        CARRIED[carried](made)
        assert _kept(home, world), name


def test_the_block_holds_for_nothing_else(home, world):
    """What is read step by step lends its privacy neither to its reader nor to later calls."""
    model = guard(hosted(world), local(home))
    with pilotlight.private():
        steps = model.bind(seed=1).stream(SECRET)
    next(steps)
    model.invoke(SECRET)
    assert world.left == ["gpt-4o"]
    list(steps)
    model.bind(seed=1).invoke(SECRET)
    assert world.left == ["gpt-4o", "gpt-4o"]


def test_what_is_bound_is_still_a_binding_to_langchain(home):
    bound = guard(local(home)).bind_tools([look])
    assert isinstance(bound, RunnableBinding)
    assert bound.kwargs["tools"]
    assert bound.bind(seed=1).kwargs.keys() == {"tools", "seed"}


def test_privacy_with_one_call(home, world):
    model = guard(hosted(world), local(home))
    model.invoke(SECRET, private=True)
    assert _kept(home, world)
    model.invoke(SECRET, private=False)
    assert world.left == ["gpt-4o"]


# Whoever is named, and in whatever way.


class Wayward(ChatOllama):
    """A class whose requests name another model than its field."""

    def _chat_params(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return {**super()._chat_params(*args, **kwargs), "model": STUB}


def _set(name: str) -> Callable[[Any, str], None]:
    return lambda model, value: setattr(model, name, value)


def _middleware(model: Any, name: str) -> Any:
    from langchain.agents.middleware import wrap_model_call

    @wrap_model_call
    def switch(request, handler):
        return handler(request.override(model_settings={"model": name}))

    inner = FailoverMiddleware(model.primary, local_only=lambda _: True)
    agent = create_agent(model.primary, middleware=[switch, inner])
    return agent.invoke({"messages": [("user", SECRET)]})


PER_CALL: dict[str, Callable[[Any, str], Any]] = {
    "invoke": lambda m, name: m.invoke(SECRET, model=name),
    "bind": lambda m, name: m.bind(model=name).invoke(SECRET),
    "bind, stream": lambda m, name: list(m.bind(model=name).stream(SECRET)),
    "tools": lambda m, name: m.bind_tools([look], model=name).invoke(SECRET),
    "ainvoke": lambda m, name: asyncio.run(m.ainvoke(SECRET, model=name)),
    "astream": lambda m, name: asyncio.run(used(m.astream(SECRET, model=name))),
    "batch": lambda m, name: m.batch([SECRET], model=name),
    "middleware": _middleware,
    "base_url": lambda m, name: m.invoke(SECRET, base_url="https://ollama.com"),
    "client": lambda m, name: m.invoke(SECRET, client=object()),
    "model_kwargs": lambda m, name: m.invoke(SECRET, model_kwargs={"model": name}),
    "client_kwargs": lambda m, name: m.bind(client_kwargs={"x": 1}).invoke(SECRET),
}


@pytest.mark.parametrize(("way", "name"), list(product(PER_CALL, ELSEWHERE)))
def test_a_model_that_is_named_with_a_call_is_refused(home, world, way, name):
    model = guard(local(home), private=True)
    with pytest.raises(ConfigError, match=r"private, and \w+=.*leave \w+= out, or guard"):
        PER_CALL[way](model, name)
    assert home.left == world.left == []
    assert model.invoke(SECRET, model=AT_HOME).text  # its own name changes nothing
    assert _kept(home, world)


CHANGES: dict[str, Callable[[ChatOllama, str], None]] = {
    "model": _set("model"),
    "base_url": lambda m, _: setattr(m, "base_url", "https://ollama.com"),
    "its client": lambda m, _: setattr(m, "_client", ChatOllama(model="x", base_url=FAR)._client),
    "client_kwargs": lambda m, _: setattr(m, "client_kwargs", {"proxy": "http://127.0.0.1:9"}),
    "its client's address": lambda m, _: setattr(m._client._client, "base_url", FAR),
}
FAR = "http://192.0.2.1:11434"
WHEN = ("at once", "before the first call", "after a call")


@pytest.mark.parametrize(("change", "when"), list(product(CHANGES, WHEN)))
@pytest.mark.parametrize("name", ELSEWHERE)
async def test_a_model_that_is_changed_is_asked_as_proven_or_not_at_all(
    home, world, change, when, name
):
    mine = local(home)
    model = guard(mine, private=True)
    if when != "at once":
        model._way()
    if when == "after a call":
        model.invoke(SECRET)
    CHANGES[change](mine, name)
    refusals = (ConfigError, pilotlight.AllTargetsFailed)
    with suppress(*refusals):
        model.invoke(SECRET)
    with suppress(*refusals):
        list(model.stream(SECRET))
    with suppress(*refusals):
        await model.ainvoke(SECRET)
    assert set(home.left) <= {AT_HOME}
    assert world.left == []


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_model_that_runs_elsewhere_is_refused_from_the_start(home, world, name):
    with pytest.raises((ConfigError, pilotlight.AllTargetsFailed)):
        guard(local(home, name), private=True).invoke(SECRET)
    assert home.left == []


async def test_what_a_class_writes_is_held_to_the_proven_model(home, world):
    model = guard(local(home, kind=Wayward), private=True)
    with pytest.raises(ConfigError, match=f"model='{STUB}' is not the model that is proven"):
        model.invoke(SECRET)
    with pytest.raises(ConfigError, match=f"model='{STUB}' is not the model that is proven"):
        await model.ainvoke(SECRET)
    assert home.left == []
    assert model._way().route.targets[0].health.breaker.state.name == "closed"


def test_a_transport_of_the_user_s_own_is_not_local(home):
    own = ChatOllama(model=AT_HOME, base_url=home.url)
    own.client_kwargs = {"mounts": {}, "transport": None}
    with pytest.raises(ConfigError, match="none of the models is proven local"):
        guard(own, private=True).invoke(SECRET)
    assert home.left == []


@pytest.mark.parametrize("name", ELSEWHERE)
def test_embeddings_whose_model_is_changed(home, name):
    mine = OllamaEmbeddings(model=AT_HOME, base_url=home.url)
    embeddings = guard_embeddings(mine, private=True)
    embeddings.embed_query(SECRET)
    assert home.left == [AT_HOME]
    mine.model = name
    with pytest.raises((ConfigError, pilotlight.AllTargetsFailed)):
        embeddings.embed_query(SECRET)
    assert home.left == [AT_HOME]


def test_a_fallback_is_never_given_the_model_s_name(home, world):
    guard(hosted(world), local(home), private=True).invoke(SECRET, model=ELSEWHERE[0])
    assert _kept(home, world)


def test_a_changed_attribute_is_followed(home, world):
    mine = local(home, "first")
    model = guard(mine)
    model.invoke(SECRET)
    mine.model = "second"
    model.invoke(SECRET)
    assert home.left == ["first", "second"]
