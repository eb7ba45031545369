"""The other SDKs: Anthropic's, Google's, Mistral's, Groq's and Ollama's, each guarded alike."""

import anthropic
import groq
import ollama
from google import genai
from mistralai.client import Mistral
from stage import outage

import pilotlight

ASK = [{"role": "user", "content": "Hello"}]


def main() -> None:
    """Ask each while its provider is down."""
    with outage() as server, pilotlight.receipts() as log:
        for name in ("anthropic", "gemini", "mistral", "groq", "away"):
            server.fault(name, "server_error")
        behind = {"fallback": "ollama/llama3.2"}

        claude = pilotlight.guard(
            anthropic.Anthropic(api_key="KEY", base_url=server.base("anthropic")), **behind
        )
        said = claude.messages.create(model="claude-opus-4-8", max_tokens=99, messages=ASK)
        print("anthropic:", said.content[0].text)

        address = {"base_url": server.base("gemini")}
        gemini = pilotlight.guard(genai.Client(api_key="KEY", http_options=address), **behind)
        said = gemini.models.generate_content(model="gemini-2.5-flash", contents="Hello")
        print("gemini:   ", said.text)

        mistral = pilotlight.guard(
            Mistral(api_key="KEY", server_url=server.base("mistral")), **behind
        )
        said = mistral.chat.complete(model="mistral-small-latest", messages=ASK)
        print("mistral:  ", said.choices[0].message.content)

        fast = pilotlight.guard(groq.Groq(api_key="KEY", base_url=server.base("groq")), **behind)
        said = fast.chat.completions.create(model="llama-3.3-70b-versatile", messages=ASK)
        print("groq:     ", said.choices[0].message.content)

        away = pilotlight.guard(ollama.Client(server.base("away")), **behind)
        print("ollama:   ", away.chat("gemma3", messages=ASK).message.content)
        print("answered: ", {receipt.served_by for receipt in log})


if __name__ == "__main__":
    main()
