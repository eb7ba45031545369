"""`@failover` keeps what a function takes and returns: each colour, each way to the target."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, assert_type

from pilotlight import AttemptTarget, Route, current_target, failover

MODELS = ("openai/gpt-4o", "ollama/llama3.2")


# `target` is the first parameter: callers give the others, and no target.


@failover(*MODELS)
def first(target: AttemptTarget, text: str, *more: str, limit: int = 3) -> str:
    return target.model + text


@failover(*MODELS)
async def afirst(target: AttemptTarget, text: str, limit: int = 3) -> int:
    return len(target.model + text)


@failover(*MODELS)
def first_items(target: AttemptTarget, text: str, limit: int = 3) -> Iterator[str]:
    yield target.model + text


@failover(*MODELS)
async def afirst_items(target: AttemptTarget, text: str, limit: int = 3) -> AsyncIterator[str]:
    yield target.model + text


assert_type(first("hi"), str)
assert_type(first("hi", "there", limit=2), str)
assert_type(first(text="hi"), str)
assert_type(first_items("hi", limit=2), Iterator[str])
assert_type(afirst_items("hi", limit=2), AsyncIterator[str])
first(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
first()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
first("hi", limit="2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
first("hi", tone="calm")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
first_items(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
afirst_items(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def of_afirst() -> None:
    assert_type(await afirst("hi", limit=2), int)
    await afirst(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async for item in afirst_items("hi"):
        assert_type(item, str)


# In a method it stands after `self`.


class Bot:
    @failover(*MODELS)
    def say(self, target: AttemptTarget, text: str) -> str:
        return target.model + text

    @failover(*MODELS)
    async def asay(self, target: AttemptTarget, text: str) -> str:
        return target.model + text

    @failover(*MODELS)
    def items(self, target: AttemptTarget, text: str) -> Iterator[str]:
        yield target.model + text

    @failover(*MODELS)
    async def aitems(self, target: AttemptTarget, text: str) -> AsyncIterator[str]:
        yield target.model + text

    @classmethod
    @failover(*MODELS)
    def of_class(cls, target: AttemptTarget, text: str) -> str:
        return cls.__name__ + target.model + text

    @staticmethod
    @failover(*MODELS)
    def static(target: AttemptTarget, text: str) -> str:
        return target.model + text

    @failover(*MODELS)
    def keyword(self, text: object, *, target: AttemptTarget) -> str:
        return f"{target.model}{text}"

    @failover(*MODELS, pass_target=False)
    def whole(self, text: str) -> str:
        return current_target().model + text


bot = Bot()
assert_type(bot.say("hi"), str)
assert_type(bot.items(text="hi"), Iterator[str])
assert_type(bot.aitems("hi"), AsyncIterator[str])
assert_type(Bot.of_class("hi"), str)
assert_type(Bot.static("hi"), str)
assert_type(bot.static("hi"), str)
assert_type(bot.keyword("hi"), str)
assert_type(bot.whole("hi"), str)
bot.say(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
bot.say()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
bot.items(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
bot.aitems(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Bot.of_class(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Bot.static(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
bot.whole(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def of_asay() -> None:
    assert_type(await bot.asay("hi"), str)
    await bot.asay(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# `target` as a keyword, or further back: no checker can take it out of the signature, so the
# result is kept, and the arguments are not checked.


@failover(*MODELS)
def keyword(text: str, *, target: AttemptTarget) -> str:
    return target.model + text


@failover(*MODELS)
async def akeyword(text: object, *, target: AttemptTarget) -> int:
    return len(f"{target.model}{text}")


@failover(*MODELS)
def keyword_items(text: Any, more: object = None, *, target: AttemptTarget) -> Iterator[str]:
    yield f"{target.model}{text}"


@failover(*MODELS)
async def akeyword_items(*texts: object, target: AttemptTarget) -> AsyncIterator[str]:
    yield f"{target.model}{texts}"


@failover(*MODELS)
def any_items(*texts: Any, tone: str, target: AttemptTarget, more: int = 3) -> str:
    return f"{target.model}{texts}"


@failover(*MODELS)
def and_more(text: object, *texts: object, target: AttemptTarget, **options: object) -> str:
    return f"{target.model}{texts}"


@failover(*MODELS)
def last(text: str, limit: int, target: AttemptTarget) -> str:
    return target.model + text


@failover(*MODELS)
def only(*, target: AttemptTarget) -> str:
    return target.model


assert_type(keyword("hi"), str)
assert_type(keyword(text="hi"), str)
assert_type(keyword_items("hi"), Iterator[str])
assert_type(akeyword_items("hi"), AsyncIterator[str])
assert_type(any_items("hi", "there", tone="calm"), str)
assert_type(and_more("hi", "there", tone="calm"), str)
assert_type(last("hi", 3), str)
assert_type(only(), str)


async def of_akeyword() -> None:
    assert_type(await akeyword("hi"), int)


# The function asks for its target, and keeps its whole signature.


@failover(*MODELS, pass_target=False)
def whole(text: str, *, limit: int = 3) -> str:
    assert_type(current_target(), AttemptTarget)
    return current_target().model + text


@failover(*MODELS, pass_target=False)
async def awhole(text: str, *, limit: int = 3) -> int:
    return len(current_target().model + text)


@failover(*MODELS, pass_target=False)
def whole_items(text: str, *, limit: int = 3) -> Iterator[str]:
    yield current_target().model + text


@failover(*MODELS, pass_target=False)
async def awhole_items(text: str, *, limit: int = 3) -> AsyncIterator[str]:
    yield current_target().model + text


assert_type(whole("hi", limit=2), str)
assert_type(whole_items("hi"), Iterator[str])
assert_type(awhole_items("hi"), AsyncIterator[str])
whole(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
whole()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
whole("hi", limit="2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
whole_items(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
awhole_items(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def of_awhole() -> None:
    assert_type(await awhole("hi"), int)
    await awhole(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# What `failover` itself takes.


def guards(route: Route) -> None:
    failover(route)(lambda target: target.model)
    failover("chat", total_timeout=30, priority="high", accept=bool)
    failover("chat", deadlin=30)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    failover("chat", priority="urgent")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    failover(3)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
