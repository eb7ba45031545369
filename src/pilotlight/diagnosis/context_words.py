"""How many tokens a model takes, in the words with which its server refuses a longer prompt.

Each wording is a shape with one number, the limit; the other numbers of such a message (what
was asked for, what is too much) must not be taken for it.  What may be a quotation of the
prompt is not believed: its author could make the target look small to everybody else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

LEAST: Final = 128  # tokens; the smallest models that embed take 256
MOST: Final = 100_000_000

# Digits with or without commas; no part of a longer number, of a sum, or of "128k" and "12%".
_AFTER: Final = r"(?![\d%\w]|[.,]\d|\s*[+*/]|\s?[kmg]i?b?\b)"
_NUMBER: Final = rf"[(\[`]?((?<![\d.,+-])(?:\d{{1,3}}(?:,\d{{3}})+|\d{{3,9}})){_AFTER}"
_IS: Final = r"(?:\s*(?:is|was|of|:|=|with))?\s*(?:only |at most |about )?"
_UTMOST: Final = r"(?:maximum|max|available|supported|model'?s?|allowed|total)"
_ALLOWED: Final = r"(?:maximum number of (?:input )?tokens allowed|limit of)"
_WINDOW: Final = r"(?:context|prompt|input|sequence|model|token)"

_SHAPES: Final = (
    # Anthropic "prompt is too long: 213462 tokens > 200000 maximum", "178959 + 64000 > 200000"
    rf"\d tokens? > {_NUMBER} (?:maximum|max\b|limit)",
    rf"context limit: [\d,]+ \+ [\d,]+ > {_NUMBER}",
    # Gemini; GitHub Copilot "token count of 131072 exceeds the limit of 128000"
    rf"token count .{{0,40}}exceeds? the {_ALLOWED} {_NUMBER}",
    # OpenAI, Azure, DeepSeek, vLLM, xAI, OpenRouter, Fireworks, llama.cpp, LM Studio, SGLang
    rf"{_UTMOST} (?:allowed |input )?{_WINDOW} (?:length|window|size|limit){_IS}{_NUMBER}",
    rf"context (?:length|window|size|limit)(?: limit)?{_IS}{_NUMBER}",
    # Mistral "too large for model with 131072 maximum context length"
    rf"(?:model )?with {_NUMBER} max(?:imum)? context length",
    # Moonshot "exceeded model token limit: 262144 (requested: 300000)"; Together and TGI
    rf"exceeded model token limit: {_NUMBER}",
    rf"inputs. tokens \+ .max_new_tokens. must be <= {_NUMBER}",
    # Cohere; TEI "`inputs` must have less than 512 tokens"; NIM; DashScope "[1, 30720]"
    rf"tokens in the prompt cannot exceed {_NUMBER}",
    rf"must have less than {_NUMBER} tokens",
    rf"exceeds (?:the )?maximum allowed token size {_NUMBER}",
    rf"range of input length should be \[\d, ?{_NUMBER}\]",
    # llama.cpp's field, LM Studio's remark
    rf"\bn_ctx\\?\"?\s*[:=]\s*{_NUMBER}",
)
_LIMITS: Final = tuple(re.compile(shape) for shape in _SHAPES)


def told_window(text: str, prompt_texts: Sequence[str] | None) -> int | None:
    """Return the limit in tokens that a refusal names; None: none, or not to be believed."""
    text = text.lower()
    found = next(filter(None, (shape.search(text) for shape in _LIMITS)), None)
    if found is None:
        return None
    tokens = int(found[1].replace(",", ""))
    if not (found[1].isascii() and LEAST <= tokens <= MOST):
        return None
    prompts = [each for each in prompt_texts or () if isinstance(each, str)]
    quoted = any(number in each for each in prompts for number in (found[1], str(tokens)))
    return tokens if prompts and not quoted else None
