"""What a call of a target costs, by the tokens and the time that it took.

Tokens are counted as OpenAI's `usage` counts them: those of the prompt with those that a cache
had or was given, those of the answer with those of its thinking.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from pilotlight.core.provider import Facts

MILLION: Final = 1_000_000
CHARACTERS_A_TOKEN: Final = 4  # of an answer that broke off before its tokens were told


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars: for a million tokens of each kind, an image, a call, or an hour of busy time.

    A kind of token without a price of its own costs what the others on its side cost.  None for
    `input` or `output`: tokens have no price that is known.
    """

    input: float | None = None
    output: float | None = None
    cached_input: float | None = None  # read from a cache
    cache_write: float | None = None  # put into a cache
    reasoning: float | None = None
    audio_input: float | None = None
    audio_output: float | None = None
    image: float = 0.0
    per_call: float = 0.0
    per_hour: float = 0.0

    def cost(self, facts: Facts, seconds: float = 0.0, images: int = 0) -> float | None:
        """Return US dollars; None where the tokens, or their price, are not known."""
        fixed = self.per_call + self.image * images + self.per_hour * seconds / 3600
        return self._with_tokens(fixed, facts, images)

    def expected(self, prompt: int, answer: int, images: int = 0) -> float | None:
        """Return what a call of so many tokens costs if none is special; None: it is not known."""
        fixed = self.per_call + self.image * images
        if self.input is None or self.output is None:
            facts = Facts(prompt_tokens=prompt, completion_tokens=answer)
            return self._with_tokens(fixed, facts, images)
        dear = max(self.input, self.cache_write or 0.0, self.audio_input or 0.0)
        dearer = max(self.output, self.reasoning or 0.0, self.audio_output or 0.0)
        return fixed + (prompt * dear + answer * dearer) / MILLION

    def _with_tokens(self, fixed: float, facts: Facts, images: int) -> float | None:
        if self.input == 0 == self.output and not (self.cached_input or self.cache_write):
            return fixed  # tokens cost nothing, however many there were
        if images and self.image and self.input is None:
            return fixed
        prompt, answer = facts.prompt_tokens, facts.completion_tokens
        if self.input is None or prompt is None:
            return fixed if self._is_by_the_call else None
        # No part is larger than the whole, whatever a server says: xAI counts 161 cached of 10.
        cached = min(facts.cached_tokens or 0, prompt)
        written = min(facts.written_tokens or 0, prompt - cached)
        heard = min(facts.heard_tokens or 0, prompt - cached - written)
        spent = (
            (prompt - cached - written - heard) * self.input
            + cached * _or(self.cached_input, self.input)
            + written * _or(self.cache_write, self.input)
            + heard * _or(self.audio_input, self.input)
        )
        if answer:
            if self.output is None:
                return None
            thought = min(answer, facts.reasoning_tokens or 0)
            spoken = min(answer - thought, facts.spoken_tokens or 0)
            spent += (answer - thought - spoken) * self.output
            spent += thought * _or(self.reasoning, self.output)
            spent += spoken * _or(self.audio_output, self.output)
        return fixed + spent / MILLION

    @property
    def free(self) -> bool:
        """Whether it is known that its calls cost nothing."""
        return self.input == 0 and self == FREE

    @property
    def _is_by_the_call(self) -> bool:
        """Whether tokens are not what is paid for."""
        return self.input is None and bool(self.per_call or self.per_hour or self.image)


@dataclass(frozen=True, slots=True)
class PriceCap:
    """The most that a target may cost, in the units of `Price`; None: as much as it likes."""

    input: float | None = None
    output: float | None = None
    image: float | None = None
    per_call: float | None = None
    per_hour: float | None = None

    def exceeded(self, price: Price) -> str:
        """Return by what a price is above it, or that it is not known; empty: it is not."""
        for field in fields(self):
            most, asked = getattr(self, field.name), getattr(price, field.name)
            if most is None:
                continue
            if asked is None:
                return "its price is not known"
            if asked > most:
                return f"{field.name} costs ${asked:g}, and max_price is ${most:g}"
        return ""


FREE: Final = Price(input=0.0, output=0.0)
UNKNOWN: Final = Price()


def _or(own: float | None, other: float) -> float:
    return other if own is None else own


def guessed(prompt_tokens: int, partial: str) -> Facts:
    """Return a guess at the tokens of an answer that broke off after some of its text."""
    said = -(-len(partial) // CHARACTERS_A_TOKEN)
    return Facts(prompt_tokens=prompt_tokens, completion_tokens=said)
