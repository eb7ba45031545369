"""What a refusal says of the model's window is learned; other numbers, and quotations, are not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.diagnosis.context_words import LEAST, MOST, told_window
from pilotlight.diagnosis.verdict import reply_of, verdict_of
from pilotlight.vocabulary.faults import Fault

PROMPT = ("Tell me a long story about the sea.",)

# LIMIT stands for the number to learn, MORE for what was asked for.
WORDINGS = [
    # OpenAI, Azure, DeepSeek, vLLM, SGLang, OpenRouter
    "This model's maximum context length is LIMIT tokens. However, your messages resulted in MORE tokens (MORE in the messages, 101 in the functions). Please reduce the length of the messages or functions.",
    "This model's maximum context length is LIMIT tokens, however you requested MORE tokens (MORE in your prompt; 0 for the completion). Please reduce your prompt; or completion length.",
    "This model's maximum context length is LIMIT tokens. However, you requested MORE tokens (MORE in the messages, 8192 in the completion).",
    "'max_tokens' or 'max_completion_tokens' is too large: MORE. This model's maximum context length is LIMIT tokens and your request has 9 input tokens.",
    "This endpoint's maximum context length is LIMIT tokens. However, you requested about MORE tokens (MORE of text input). Please reduce the length of either one.",
    "The decoder prompt (length MORE) is longer than the maximum model length of LIMIT. Make sure that `max_model_len` is no smaller than the number of text tokens.",
    "The input (MORE tokens) is longer than the model's context length (LIMIT tokens).",
    "Requested token count exceeds the model's maximum context length of LIMIT tokens. You requested a total of MORE tokens.",
    # Anthropic
    "prompt is too long: MORE tokens > LIMIT maximum",
    "input length and `max_tokens` exceed context limit: 178959 + MORE > LIMIT, decrease input length or `max_tokens` and try again",
    # Gemini, Vertex
    "The input token count (MORE) exceeds the maximum number of tokens allowed (LIMIT).",
    "The input token count exceeds the maximum number of tokens allowed LIMIT.",
    # Mistral, xAI, Moonshot, Fireworks, Together, Cohere, DashScope, Copilot
    "Prompt contains MORE tokens and 0 draft tokens, too large for model with LIMIT maximum context length",
    "This model's maximum prompt length is LIMIT but the request contains MORE tokens.",
    "Invalid request: Your request exceeded model token limit: LIMIT (requested: MORE)",
    "The prompt is too long: MORE, model maximum context length: LIMIT",
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= LIMIT. Given: MORE `inputs` tokens and 512 `max_new_tokens`",
    "too many tokens: total number of tokens in the prompt cannot exceed LIMIT - received MORE. Try using a shorter prompt",
    "Range of input length should be [1, LIMIT]",
    "prompt token count of MORE exceeds the limit of LIMIT",
    # llama.cpp, LM Studio, TEI, NIM
    "request (MORE tokens) exceeds the available context size (LIMIT tokens), try increasing it",
    "Trying to keep the first MORE tokens when context the overflows. However, the model is loaded with context length of only LIMIT tokens, which is not enough.",
    "The number of tokens to keep from the initial prompt is greater than the context length (n_keep: MORE>= n_ctx: LIMIT).",
    "Input validation error: `inputs` must have less than LIMIT tokens. Given: MORE",
    "Input length MORE exceeds maximum allowed token size LIMIT",
]  # fmt: skip
LIMITS = [512, 4096, 8192, 131072, 1048576]

# The limit is not named, or the number is another one's.
SILENT = [
    "Your input exceeds the context window of this model.",
    "Input is too long for requested model.",
    "prompt too long; exceeded max context length by 4096 tokens",
    "the request exceeds the available context size, try increasing it",
    "context window exceeds limit (2013)",
    "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 44231.",
    "Please reduce the length of the messages or completion.",
    "maximum context length is 128k tokens",
    "maximum context length is 8192.5 tokens",
    "maximum context length is -8192 tokens",
    "maximum context length is 0 tokens",
    "maximum context length is 1 tokens",
    "maximum context length is 127 tokens",
    "maximum context length is 100000001 tokens",
    "maximum context length is 99999999999999999999999999 tokens",
    "maximum context length is 1e9 tokens",
    "maximum context length is 0x2000 tokens",
    "maximum context length is 8192 + 1 tokens",
    "maximum context length is ٨١٩٢ tokens",
    "maximum context length is 819２ tokens",
    "maximum context length is 8192% used",
    "maximum context length is 64 KB",
    "",
]


@pytest.mark.parametrize("commas", [False, True])
@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("wording", WORDINGS)
def test_the_limit_is_learned_and_no_other_number(wording, limit, commas):
    form = "{:,}" if commas else "{}"
    said = wording.replace("LIMIT", form.format(limit))
    said = said.replace("MORE", form.format(limit + 1439))
    assert told_window(said, PROMPT) == limit


@pytest.mark.parametrize("said", SILENT)
def test_what_names_no_limit_teaches_nothing(said):
    assert told_window(said, PROMPT) is None


@pytest.mark.parametrize("wording", WORDINGS)
def test_what_may_be_a_quotation_of_the_prompt_is_not_believed(wording):
    said = wording.replace("LIMIT", "8,192").replace("MORE", "9631")
    assert told_window(said, PROMPT) == 8192
    for prompt in ("8192 ships", "a ship of 8,192 tons", said):
        assert told_window(said, (*PROMPT, prompt)) is None
    assert told_window(said, None) is None
    assert told_window(said, ()) is None, "an unknown prompt may say anything"


@given(st.text(max_size=300))
def test_any_text_teaches_a_plausible_number_or_none(text):
    for said in (text, f"maximum context length is {text}", f"context limit: {text} > {text}"):
        assert (told := told_window(said, PROMPT)) is None or LEAST <= told <= MOST


@pytest.mark.parametrize(
    ("status", "body", "window"),
    [
        (400, {"error": {"message": WORDINGS[0], "code": "context_length_exceeded"}}, 8192),
        (400, {"type": "error", "error": {"type": "invalid_request_error", "message": WORDINGS[8]}}, 8192),
        (400, {"error": {"code": 400, "message": "the request exceeds the available context size", "type": "exceed_context_size_error", "n_prompt_tokens": 9631, "n_ctx": 8192}}, 8192),
        (400, {"error": {"message": "invalid key", "code": "x", "note": WORDINGS[0]}}, None),
        (413, {"error": {"message": "request too large: the payload exceeds 8192 bytes"}}, None),
        (429, {"error": {"message": "Rate limit: " + WORDINGS[0]}}, None),
    ],
)  # fmt: skip
def test_a_verdict_holds_it_where_the_prompt_was_too_long(status, body, window):
    said = json.dumps(body).replace("LIMIT", "8192").replace("MORE", "9631")
    verdict = verdict_of(reply_of("openai", status, said.encode(), {}), PROMPT)
    assert verdict.window == window
    assert (verdict.fault is Fault.CONTEXT_EXCEEDED) >= (window is not None)
