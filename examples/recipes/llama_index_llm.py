"""LlamaIndex: an LLM of its own kind over a guarded client, plain and streamed."""

from llama_index.core.llms import ChatMessage
from llama_index.llms.openai import OpenAI as LlamaIndexOpenAI
from openai import OpenAI
from stage import outage

import pilotlight


def main() -> None:
    """Chat while OpenAI is down."""
    with outage(), pilotlight.receipts() as log:
        client = pilotlight.guard(OpenAI(), fallback="ollama/llama3.2")
        llm = LlamaIndexOpenAI(model="gpt-4o", openai_client=client)
        print("answer:  ", llm.chat([ChatMessage(role="user", content="Hello")]).message.content)
        stream = llm.stream_chat([ChatMessage(role="user", content="Hello")])
        print("stream:  ", "".join(piece.delta or "" for piece in stream))
        print("answered:", [receipt.served_by for receipt in log])


if __name__ == "__main__":
    main()
