"""pydantic-ai: an agent whose model goes down in the middle of a run; its tool is run once."""

from openai import AsyncOpenAI
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from stage import outage

import pilotlight

payments: list[int] = []


def main() -> None:
    """Let the agent pay; OpenAI dies when the payment is made, and Ollama ends the run."""
    with outage() as server, pilotlight.receipts() as log:
        server.heal("openai")
        client = pilotlight.guard(AsyncOpenAI(), fallback="ollama/llama3.2")
        model = OpenAIChatModel("gpt-4o", provider=OpenAIProvider(openai_client=client))
        agent = Agent(model, instructions="You settle bills.")

        @agent.tool_plain
        def pay(amount: int) -> str:
            """Pay an amount in dollars."""
            payments.append(amount)
            server.fault("openai", "server_error")
            return "paid"

        result = agent.run_sync("Please pay the bill.")
        print("answer:  ", result.output)
        print("payments:", len(payments))
        print("answered:", [receipt.served_by for receipt in log])


if __name__ == "__main__":
    main()
