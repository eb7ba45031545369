"""A route's four call shapes: what each returns, and what its chunks have."""

from __future__ import annotations

from typing import assert_type

from pilotlight import Answer, AnswerStream, AsyncAnswerStream, Chunk, Route, StreamRestarted

MESSAGES = [{"role": "user", "content": "hi"}]


def complete(route: Route) -> None:
    assert_type(route.complete(MESSAGES, temperature=0.2), Answer)
    assert_type(route.complete(MESSAGES).text, str)
    route.complete("hi", total_timeout="30")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def stream(route: Route) -> str:
    said = ""
    with route.stream(MESSAGES) as chunks:
        assert_type(chunks, AnswerStream)
        assert_type(next(chunks), Chunk | StreamRestarted)
        for chunk in chunks:
            if isinstance(chunk, StreamRestarted):
                assert_type(chunk.from_target, str)
                said = ""
                continue
            assert_type(chunk, Chunk)
            for choice in chunk.choices:
                assert_type(choice.index, int)
                assert_type(choice.finish_reason, str | None)
                assert_type(choice.delta.content, str | None)
                assert_type(choice.delta.role, str | None)
                said += choice.delta.content or ""
    return said


def stream_without_a_look_at_restarts(route: Route) -> str:
    """As it is written where `on_interrupt` is left as it is."""
    return "".join(chunk.choices[0].delta.content or "" for chunk in route.stream(MESSAGES))


def mistakes(route: Route) -> None:
    for chunk in route.stream(MESSAGES):
        assert_type(chunk, Chunk | StreamRestarted)
        chunk.choice  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
        len(chunk.choices[0].delta.content)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def acomplete(route: Route) -> None:
    assert_type(await route.acomplete(MESSAGES), Answer)


async def astream(route: Route) -> str:
    said = ""
    async with route.astream(MESSAGES) as chunks:
        assert_type(chunks, AsyncAnswerStream)
        assert_type(await anext(chunks), Chunk | StreamRestarted)
        async for chunk in chunks:
            assert_type(chunk, Chunk | StreamRestarted)
            said += chunk.choices[0].delta.content or ""
    return said


def of_a_users_own(piece: Chunk) -> str:
    """A helper of the user's for one chunk."""
    return piece.choices[0].delta.content or ""


def helped(route: Route) -> list[str]:
    return [of_a_users_own(c) for c in route.stream(MESSAGES) if not isinstance(c, StreamRestarted)]
