"""`@failover` on an async generator: a stream fails over unseen until its first text."""

import asyncio
import os

from openai import AsyncOpenAI

from pilotlight import StreamInterrupted, failover, receipts
from pilotlight_chaos import ChaosServer


@failover("openai/gpt-4o", "ollama/llama3.2")
async def tell(topic: str, *, target):
    """Yield the text piece by piece."""
    stream = await AsyncOpenAI(**target.openai_kwargs).chat.completions.create(
        model=target.model,
        messages=[{"role": "user", "content": f"Tell me about {topic}"}],
        stream=True,
    )
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            yield chunk.choices[0].delta.content


async def listen(topic: str) -> str:
    """Read a whole stream and say who told it."""
    with receipts() as log:
        text = "".join([piece async for piece in tell(topic)])
    return f"{log[0].served_by}: {text}"


async def play() -> None:
    """Play a healthy stream, one that breaks early, and one that breaks late."""
    with ChaosServer(models=["llama3.2"], reply=lambda ask: f"a tale of {ask.model}") as server:
        os.environ["OPENAI_API_KEY"] = "sk-not-a-real-key"
        os.environ["OPENAI_BASE_URL"] = f"{server.base('cloud')}/v1"
        os.environ["OLLAMA_HOST"] = server.base("house")

        print("healthy:      ", await listen("lamps"))
        server.fault("cloud", "error_event", after=0)
        print("breaks early: ", await listen("lamps"))
        server.fault("cloud", "eof", after=2)  # a clean end, but no end mark: it was cut
        try:
            await listen("lamps")
        except StreamInterrupted as broken:
            print("breaks late:  ", f"{broken.fault} after {broken.partial_text!r}")


if __name__ == "__main__":
    asyncio.run(play())
