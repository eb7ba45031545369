"""What `guard` adds to the openai SDK's own call when all is well, over a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from openai import AsyncOpenAI, OpenAI

from benchmarks.measure import (
    US,
    Spent,
    aeach_spent,
    asteadily,
    each_spent,
    less,
    settle,
    split,
    steadily,
)
from benchmarks.rows import Row
from benchmarks.serve import apart
from pilotlight import guard

LIMIT = 80e-6
TIMES, ROUNDS, TOKENS = 40, 7, 20
ASK: Any = [{"role": "user", "content": "hi"}]


def rows() -> list[Row]:
    """Measure."""
    with apart("openai", tokens=TOKENS) as base:
        settle()
        own = {"api_key": "sk-not-a-real-key", "base_url": f"{base}/v1"}
        found = steadily(_sync(own), ROUNDS)
        found |= asyncio.run(_async(own))
    walls, cpus = split(found)
    made = []
    for colour in ("sync", "async"):
        for shape in ("call", "stream"):
            pair = f"{colour} guarded {shape}", f"{colour} {shape}"
            cpu, wall = less(cpus, *pair), less(walls, *pair)
            told = f"{cpu.told('us')} CPU; {wall.median * US:.1f} us wall"
            values = {"cpu": cpu.values(), "wall": wall.values()}
            figure = f"guard adds to the openai SDK's {shape} ({colour})"
            if shape == "stream":
                made.append(Row(f"{figure}, {TOKENS} chunks", told, values=values))
            else:
                target = f"<= {LIMIT * US:.0f} us CPU"
                made.append(Row(figure, told, target, cpu.median <= LIMIT, values=values))
    return made


def _sync(own: dict[str, str]) -> Mapping[str, Callable[[], Spent]]:
    plain = OpenAI(**own)
    guarded = guard(plain)

    def call(client: OpenAI) -> object:
        return client.chat.completions.create(model="gpt-4o", messages=ASK)

    def drain(client: OpenAI) -> object:
        return list(client.chat.completions.create(model="gpt-4o", messages=ASK, stream=True))

    cases = {
        "sync call": partial(call, plain),
        "sync guarded call": partial(call, guarded),
        "sync stream": partial(drain, plain),
        "sync guarded stream": partial(drain, guarded),
    }
    return {name: partial(each_spent, case, TIMES) for name, case in cases.items()}


async def _async(own: dict[str, str]) -> dict[str, list[Spent]]:
    plain = AsyncOpenAI(**own)
    guarded = guard(plain)

    async def call(client: AsyncOpenAI) -> object:
        return await client.chat.completions.create(model="gpt-4o", messages=ASK)

    async def drain(client: AsyncOpenAI) -> object:
        stream = await client.chat.completions.create(model="gpt-4o", messages=ASK, stream=True)
        return [chunk async for chunk in stream]

    cases: dict[str, Callable[[], Awaitable[object]]] = {
        "async call": partial(call, plain),
        "async guarded call": partial(call, guarded),
        "async stream": partial(drain, plain),
        "async guarded stream": partial(drain, guarded),
    }
    timed = {name: partial(aeach_spent, case, TIMES) for name, case in cases.items()}
    return await asteadily(timed, ROUNDS)
