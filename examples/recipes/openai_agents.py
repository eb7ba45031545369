"""OpenAI Agents SDK: every agent of the program by one guarded client, by the Responses API."""

import agents
from openai import AsyncOpenAI
from stage import outage

import pilotlight


def main() -> None:
    """Run an agent while OpenAI is down."""
    with outage(), pilotlight.receipts() as log:
        agents.set_tracing_disabled(True)
        client = pilotlight.guard(AsyncOpenAI(), fallback="ollama/llama3.2")
        agents.set_default_openai_client(client, use_for_tracing=False)

        @agents.function_tool
        def weather(city: str) -> str:
            """Tell the weather of a city."""
            return f"sunny in {city}"

        agent = agents.Agent(name="Helper", model="gpt-4o", tools=[weather])
        result = agents.Runner.run_sync(agent, "What is the weather in Rome?")
        print("answer:  ", result.final_output)
        print("answered:", [receipt.served_by for receipt in log])


if __name__ == "__main__":
    main()
