"""DSPy: a program whose model is a route, by litellm."""

import dspy
from stage import outage

import pilotlight


def main() -> None:
    """Ask while OpenAI is down."""
    with outage() as server, pilotlight.receipts() as log:
        gpt = {"model": "openai/gpt-4o", "api_base": f"{server.base('openai')}/v1"}
        targets = {"gpt": gpt, "local": {"model": "ollama/llama3.2"}}
        app = pilotlight.load({"targets": targets, "routes": {"chat": {"targets": [*targets]}}})
        pilotlight.register_litellm(app)
        lm = dspy.LM("pilotlight/chat", cache=False, num_retries=0)
        print("answer:  ", lm("Hello")[0])
        print("answered:", [receipt.served_by for receipt in log])


if __name__ == "__main__":
    main()
