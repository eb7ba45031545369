"""smolagents: an agent over litellm whose model is a route."""

import smolagents
from stage import outage

import pilotlight


def main() -> None:
    """Ask while OpenAI is down."""
    with outage() as server, pilotlight.receipts() as log:
        gpt = {"model": "openai/gpt-4o", "api_base": f"{server.base('openai')}/v1"}
        targets = {"gpt": gpt, "local": {"model": "ollama/llama3.2"}}
        app = pilotlight.load({"targets": targets, "routes": {"chat": {"targets": [*targets]}}})
        pilotlight.register_litellm(app)
        model = smolagents.LiteLLMModel("pilotlight/chat")
        answer = model.generate([{"role": "user", "content": "Hello"}])
        print("answer:  ", answer.content)
        print("answered:", [receipt.served_by for receipt in log])


if __name__ == "__main__":
    main()
