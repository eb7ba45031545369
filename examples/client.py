"""The client: one route, four call shapes, and what an answer tells about itself."""

import asyncio
import json

import pilotlight
from pilotlight.routes.answer import chunk_text
from pilotlight_chaos import ChaosServer

MESSAGES = [{"role": "user", "content": "Who are you?"}]


def configuration(server: ChaosServer) -> dict:
    """Return what would stand in pilotlight.toml, with the played providers' addresses."""
    return {
        "targets": {
            "gpt": {
                "model": "openai/gpt-4o",
                "api_base": f"{server.base('cloud')}/v1",
                "api_key": "sk-not-a-real-key",
            },
            "local": {
                "model": "ollama/llama3.2",
                "api_base": server.base("house"),
                "concurrency": 2,
                "context": 8192,
            },
        },
        "routes": {"chat": {"targets": ["gpt", "local"], "total_timeout": 30}},
    }


async def in_async_code(route: pilotlight.Route) -> None:
    """Use the two async shapes."""
    answer = await route.acomplete(MESSAGES)
    print("acomplete:", answer.served_by)
    async with route.astream(MESSAGES) as stream:
        async for _chunk in stream:
            pass
    print("astream:  ", stream.served_by, len(stream.text), "characters")


def main() -> None:
    """Call in the four shapes, then once more with the closed API down."""
    pilotlight.preload().join()
    with ChaosServer(models=["llama3.2"]) as server, pilotlight.load(configuration(server)) as app:
        route = app.route("chat")
        answer = route.complete(MESSAGES, temperature=0.2)
        print("complete: ", answer.served_by, "-", answer.text)
        print("stream:    ", end="")
        with route.stream(MESSAGES) as stream:
            for chunk in stream:
                print(chunk_text(chunk), end="")
        print()
        asyncio.run(in_async_code(route))

        server.fault("cloud", "quota")
        answer = route.complete(MESSAGES)
        first = answer.receipt.attempts[0]
        print("quota gone:", answer.served_by, "answers;", f"{first.target}: {first.fault}")
        print("receipt:  ", json.dumps(answer.receipt.to_dict())[:60], "...")


if __name__ == "__main__":
    main()
