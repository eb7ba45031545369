"""An agent with tools whose model dies in the middle of a run; the run goes on, and says why.

Nothing leaves this machine: OpenAI and Ollama are both played by `pilotlight-chaos` on a
loopback address.  With your own key and your own Ollama, the two `base_url`s go away.
"""

import os

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_ollama import ChatOllama
from langchain_openai import ChatOpenAI

from langchain_pilotlight import FailoverMiddleware
from pilotlight_chaos import ChaosServer

os.environ["LANGSMITH_TRACING"] = "false"


def build(openai_url: str | None = None, ollama_url: str | None = None, tools=()):
    """Return the agent, as an application would make it."""
    primary = ChatOpenAI(model="gpt-4o", base_url=openai_url, api_key="sk-example")
    local = ChatOllama(model="llama3.2", base_url=ollama_url)
    return create_agent(primary, list(tools), middleware=[FailoverMiddleware(local)])


def main() -> None:
    with ChaosServer(models=["llama3.2"]) as server:

        @tool
        def parcel_status(number: int) -> str:
            """Look a parcel up."""
            server.fault("openai", "server_error")  # and while it looks, OpenAI goes down
            return f"Parcel {number} is in Lyon."

        agent = build(f"{server.base('openai')}/v1", server.base("ollama"), [parcel_status])
        question = "Where is parcel 17? Use the tool parcel_status."
        state = agent.invoke({"messages": [("user", question)]})
        for message in state["messages"]:
            told = getattr(message, "response_metadata", {}).get("pilotlight")
            by = f"  [{told['served_by']}]" if told else ""
            said = message.text or f"calls {message.tool_calls[0]['name']}"
            print(f"{message.type:5} {said}{by}")
        for told in state["pilotlight"]:
            first = told["attempts"][0]
            print(
                f"why   {first['target']}: {told['reason']} ({first['status']}), "
                f"so {told['served_by']} answered"
            )


if __name__ == "__main__":
    main()
