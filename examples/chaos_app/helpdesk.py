"""A small application: a help desk that answers, types along, and sums up patient records."""

import pilotlight
from pilotlight import StreamInterrupted

CONFIG = {
    "targets": {
        "cloud": {"model": "openai/gpt-4o"},
        "house": {"model": "ollama/llama3.2:3b"},
    },
    "routes": {"chat": {"targets": ["cloud", "house"]}},
}


def ask(text: str) -> list[dict[str, str]]:
    """Return a question as messages."""
    return [{"role": "user", "content": text}]


class HelpDesk:
    """What the application's pages call."""

    config: dict = CONFIG

    def __init__(self) -> None:
        self.chat = pilotlight.load(self.config).route("chat")

    def answer(self, question: str) -> str:
        """Answer a question."""
        return self.chat.complete(ask(question)).text

    def typed(self, question: str) -> str:
        """Answer as the page types it; a broken answer is taken back and asked for anew."""
        text = ""
        try:
            for piece in self.chat.stream(ask(question)):
                text += piece.choices[0].delta.content or ""
        except StreamInterrupted:
            text = self.answer(question)
        return text

    def summary(self, record: str) -> str:
        """Sum up a patient's record, which must not leave the house."""
        return self.chat.complete(ask(f"Sum up: {record}"), private=True).text
