"""The OpenAI SDK's clients over a client of ours.  Importing this module imports the SDK."""

from __future__ import annotations

import openai

__all__ = ["AsyncAzureOneShot", "AsyncOneShot", "AzureOneShot", "OneShot"]


class _OneShot:
    """Never asks twice, whatever it is told later.

    litellm sets `max_retries` on the client that it is handed; for embeddings and images it
    sets 2 where 0 was asked for (1.106.2), and a client of a pool is everybody's.
    """

    @property
    def max_retries(self) -> int:
        return 0

    @max_retries.setter
    def max_retries(self, _wanted: int) -> None:
        """Leave it at none."""


class OneShot(_OneShot, openai.OpenAI):
    """The SDK's client without retries."""


class AsyncOneShot(_OneShot, openai.AsyncOpenAI):
    """The same for async code."""


class AzureOneShot(_OneShot, openai.AzureOpenAI):
    """Azure's client without retries."""


class AsyncAzureOneShot(_OneShot, openai.AsyncAzureOpenAI):
    """The same for async code."""
