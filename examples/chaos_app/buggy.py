"""The same help desk with three bugs, each of which passes any test on a good day."""

from helpdesk import CONFIG, HelpDesk, ask

from pilotlight import StreamInterrupted


class NoFallback(HelpDesk):
    """The route has lost its last resort."""

    config = CONFIG | {"routes": {"chat": {"targets": ["cloud"]}}}


class Swallows(HelpDesk):
    """Half an answer is shown as if it were one."""

    def typed(self, question: str) -> str:
        """Answer as the page types it."""
        text = ""
        try:
            for piece in self.chat.stream(ask(question)):
                text += piece.choices[0].delta.content or ""
        except StreamInterrupted:
            pass
        return text


class Leaks(HelpDesk):
    """A record goes to whoever answers first."""

    def summary(self, record: str) -> str:
        """Sum up a patient's record."""
        return self.chat.complete(ask(f"Sum up: {record}")).text
