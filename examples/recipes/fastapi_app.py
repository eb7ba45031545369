"""FastAPI: the gateway under a path of one's own application, and a guarded client in a handler."""

from fastapi import FastAPI
from fastapi.testclient import TestClient
from openai import AsyncOpenAI
from stage import outage

import pilotlight


def build() -> FastAPI:
    """Return the application."""
    app = FastAPI()
    client = pilotlight.guard(AsyncOpenAI(), fallback="ollama/llama3.2")

    @app.get("/hello")
    async def hello() -> dict[str, str]:
        ask = [{"role": "user", "content": "Hello"}]
        answer = await client.chat.completions.create(model="gpt-4o", messages=ask)
        return {"said": answer.choices[0].message.content}

    return app


def main() -> None:
    """Ask the application while OpenAI is down."""
    with outage(), pilotlight.receipts() as log, TestClient(build()) as browser:
        print("hello:   ", browser.get("/hello").json()["said"])
        print("answered:", [receipt.served_by for receipt in log])


if __name__ == "__main__":
    main()
