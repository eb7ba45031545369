"""Drop-in: `from litellm import completion` becomes `from pilotlight import completion`."""

import os
import tempfile
from pathlib import Path

from pilotlight import completion, preload, receipts
from pilotlight_chaos import ChaosServer

MESSAGES = [{"role": "user", "content": "Who are you?"}]
CONFIG = """
[targets.gpt]
model = "openai/gpt-4o"

[targets.local]
model = "ollama/llama3.2"

[routes.chat]
targets = ["gpt", "local"]
"""


def main() -> None:
    """Call as litellm is called; the route is found by the model."""
    preload().join()
    with ChaosServer(models=["llama3.2"]) as server, tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "pilotlight.toml")
        config.write_text(CONFIG)
        os.environ["PILOTLIGHT_CONFIG"] = str(config)
        os.environ["OPENAI_API_KEY"] = "sk-not-a-real-key"
        os.environ["OPENAI_BASE_URL"] = f"{server.base('cloud')}/v1"
        os.environ["OLLAMA_HOST"] = server.base("house")

        reply = completion(model="openai/gpt-4o", messages=MESSAGES)
        print("healthy:", reply.model, "-", type(reply).__name__)

        server.fault("cloud", "bad_gateway")
        with receipts() as log:
            reply = completion(model="openai/gpt-4o", messages=MESSAGES, timeout=10)
        print(
            "outage: ", reply.model, "-", log[0].attempts[0].fault, "at", log[0].attempts[0].target
        )

        with receipts() as log:
            pieces = [
                chunk.choices[0].delta.content or ""
                for chunk in completion(model="openai/gpt-4o", messages=MESSAGES, stream=True)
            ]
        print("stream: ", log[0].served_by, "sent", len("".join(pieces)), "characters")


if __name__ == "__main__":
    main()
