"""How servers that speak OpenAI's dialect differ from OpenAI, as data.

Sources: the API references of OpenAI, Mistral, DeepSeek, Moonshot, Groq ("currently not
supported"), xAI, Cerebras, Fireworks, Perplexity and NVIDIA, and their refusals.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pilotlight.dialects.fields import words
from pilotlight.dialects.history import MISTRAL_IDS, OPENAI_IDS, IdRule

_OPENAI: Final = words(
    "messages model audio frequency_penalty function_call functions logit_bias logprobs"
    " max_completion_tokens max_tokens metadata modalities moderation n parallel_tool_calls"
    " prediction presence_penalty prompt_cache_key prompt_cache_options prompt_cache_retention"
    " reasoning_effort response_format safety_identifier seed service_tier stop store stream"
    " stream_options temperature tool_choice tools top_logprobs top_p user verbosity"
    " web_search_options"
)


@dataclass(frozen=True, slots=True, eq=False)
class Manner:
    """What one server takes beside, or instead of, what OpenAI takes.

    `options` are those that it knows, None where it passes over what it does not know, also
    fields of messages, kinds of parts and of tools.  `reasoning`: an assistant's
    `reasoning_content` may, or must, be sent back to it.  `refuses` are options of OpenAI's that
    it does not take, and `picky` says what models of its refuse besides, by their names.
    """

    options: frozenset[str] | None = _OPENAI
    ids: IdRule = OPENAI_IDS
    reasoning: bool = False
    thoughts: bool = False  # as parts of the content
    developer: bool = False  # the role of this name; else it is the system's
    cache_marks: bool = False
    models: bool = False  # its models are OpenAI's own, see `models`
    names: Mapping[str, str] = field(default_factory=dict)  # of options that are called otherwise
    fields: frozenset[str] = frozenset()  # of messages, beside OpenAI's
    without: frozenset[str] = frozenset()  # of OpenAI's fields of messages
    refuses: frozenset[str] = frozenset()
    picky: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = ()
    nameless: bool = False  # a message has no `name`
    one_text: bool = False  # content in parts that are all texts is sent as one
    counts: bool = True  # it tells a stream's tokens only when asked to
    home: str = ""  # what stands before the name of a model that has none of it


# Anything else is "Extra inputs are not permitted" there.
_MISTRAL: Final = words(
    "messages model frequency_penalty guardrails max_tokens metadata n parallel_tool_calls"
    " prediction presence_penalty prompt_cache_key prompt_mode random_seed reasoning_effort"
    " response_format safe_prompt service_tier stop stream temperature tool_choice tools top_p"
)
_OLD_LIMIT: Final = {"max_completion_tokens": "max_tokens"}
# What OpenAI alone has; others refuse it, or pass over it without a word.
_ALONE: Final = words(
    "metadata moderation prompt_cache_key prompt_cache_options prompt_cache_retention"
    " safety_identifier service_tier store user verbosity web_search_options"
)
_LOGPROBS: Final = words("logprobs top_logprobs")
_EFFORT: Final = frozenset({"reasoning_effort"})
_ANY: Final = Manner(options=None)
MANNERS: Final[Mapping[str, Manner]] = {
    "openai": Manner(developer=True, models=True),
    "openai_elsewhere": Manner(options=None, developer=True, models=True),
    "azure": Manner(developer=True, models=True),
    "mistral": Manner(
        _MISTRAL,
        MISTRAL_IDS,
        thoughts=True,
        names={**_OLD_LIMIT, "seed": "random_seed"},
        fields=words("prefix"),
        without=words("refusal audio function_call"),
        nameless=True,
        counts=False,
    ),
    "deepseek": Manner(options=None, reasoning=True, names=_OLD_LIMIT, refuses=_ALONE),
    "moonshot": Manner(
        options=None, reasoning=True, names=_OLD_LIMIT, one_text=True, refuses=_ALONE - {"user"}
    ),
    "openrouter": Manner(options=None, reasoning=True, developer=True, cache_marks=True),
    "groq": Manner(
        options=None,
        refuses=(_ALONE - {"service_tier", "user"}) | _LOGPROBS | {"logit_bias"},
        picky=((re.compile(r"^(?!.*(?:gpt-oss|qwen|deepseek-r1))"), _EFFORT),),
        nameless=True,
        counts=False,
    ),
    "xai": Manner(
        options=None,
        refuses=_ALONE - {"user", "web_search_options"},
        picky=(
            (
                re.compile(r"grok-(?:4|3-mini|code)"),
                words("stop presence_penalty frequency_penalty"),
            ),
            (re.compile(r"^(?!.*(?:mini|grok-4\.|grok-[5-9]))"), _EFFORT),
        ),
        counts=False,
    ),
    "together_ai": Manner(options=None, names=_OLD_LIMIT, refuses=_ALONE),
    "fireworks_ai": Manner(
        options=None,
        names=_OLD_LIMIT,
        refuses=_ALONE - {"user", "prompt_cache_key", "service_tier"},
        home="accounts/fireworks/models/",
    ),
    "cerebras": Manner(
        options=None,
        refuses=(_ALONE - {"user"}) | words("logit_bias presence_penalty frequency_penalty"),
    ),
    "perplexity": Manner(
        options=None,
        names=_OLD_LIMIT,
        refuses=(_ALONE - {"web_search_options"})
        | _LOGPROBS
        | words("logit_bias n parallel_tool_calls seed"),
        counts=False,
    ),
    "nvidia_nim": Manner(
        options=None, names=_OLD_LIMIT, refuses=_ALONE | _LOGPROBS | {"logit_bias"}
    ),
    "sambanova": Manner(options=None, names=_OLD_LIMIT, refuses=_ALONE, one_text=True),
}


def manner_of(provider: str) -> Manner:
    """Return how a provider differs; of one that is not known, what most servers take."""
    return MANNERS.get(provider, _ANY)
