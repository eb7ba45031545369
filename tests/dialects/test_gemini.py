"""Google's Gemini API as a target."""

from __future__ import annotations

import json
from typing import Any

import pytest
import strict
from asking import IMAGE, OPTIONS, PIXEL, SCHEMA, TOOLS, conversations
from hypothesis import given
from hypothesis import strategies as st
from saying import ASKED, chunks_of, cut, joined, recorded

from pilotlight.dialects import gemini as dialect
from pilotlight.dialects.base import Unable, Unreadable

HI = [{"role": "user", "content": "hi"}]
MODELS = ["gemini-2.0-flash", "gemini-2.5-flash", "gemini-2.5-pro", "gemini-3-flash", "gemini-4-x"]


def written(messages: Any = HI, model: str = "gemini-3-pro", **options: Any) -> Any:
    return dialect.write_request({"model": model, "messages": messages, **options})


def body(messages: Any = HI, model: str = "gemini-3-pro", **options: Any) -> Any:
    return written(messages, model, **options).body


# Answers and streams.

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SIGNATURES = st.sampled_from(["CosC", "EqQC"])
PARTS = st.one_of(
    st.fixed_dictionaries({"text": TEXTS}, optional={"thought": st.just(True)}),
    st.fixed_dictionaries({"text": TEXTS, "thoughtSignature": SIGNATURES}),
    st.fixed_dictionaries(
        {
            "functionCall": st.fixed_dictionaries(
                {
                    "name": st.sampled_from(["look", "find"]),
                    "args": st.dictionaries(TEXTS, st.integers() | TEXTS, max_size=2),
                }
            )
        },
        optional={"thoughtSignature": SIGNATURES},
    ),
    st.just({"executableCode": {"language": "PYTHON", "code": "1"}}),
    st.just({"inlineData": {"mimeType": "image/png", "data": "AAAA"}}),
)
REASONS = st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY", "MALFORMED_FUNCTION_CALL", "NEXT_YEARS"])
COUNTS = st.integers(1, 10_000)
CANDIDATE = st.fixed_dictionaries(
    {
        "content": st.fixed_dictionaries(
            {"role": st.just("model"), "parts": st.lists(PARTS, max_size=5)}
        ),
        "finishReason": REASONS,
    },
    optional={
        "groundingMetadata": st.just({"groundingChunks": [{"web": {"uri": "u", "title": "t"}}]}),
        "logprobsResult": st.just(
            {"chosenCandidates": [{"token": "a", "logProbability": -0.5}], "topCandidates": []}
        ),
    },
)
ANSWERS = st.fixed_dictionaries(
    {
        "responseId": st.just("Ab-1_c"),
        "modelVersion": st.just("gemini-3-pro"),
        "candidates": st.lists(CANDIDATE, min_size=1, max_size=2),
        "usageMetadata": st.fixed_dictionaries(
            {"promptTokenCount": COUNTS, "candidatesTokenCount": COUNTS},
            optional={"thoughtsTokenCount": COUNTS, "cachedContentTokenCount": COUNTS},
        ),
    }
)


@st.composite
def streamed(draw: Any, answer: dict[str, Any]) -> list[Any]:
    """Cut an answer into events as Gemini does, each plain text anywhere."""
    head = {name: answer[name] for name in ("responseId", "modelVersion")}
    said: list[Any] = []
    for index, candidate in enumerate(answer["candidates"]):
        for part in candidate["content"]["parts"]:
            plain = part.keys() <= {"text", "thought"}
            for piece in draw(cut(part["text"])) if plain else [None]:
                one = part if piece is None else {**part, "text": piece}
                event = {"index": index, "content": {"role": "model", "parts": [one]}}
                said.append(
                    {**head, "candidates": [event], "usageMetadata": {"promptTokenCount": 1}}
                )
        last = {name: value for name, value in candidate.items() if name != "content"}
        said.append({**head, "candidates": [{"index": index, **last}]})
    said[-1]["usageMetadata"] = answer["usageMetadata"]
    return said


def plain(answer: Any) -> Any:
    for choice in answer["choices"]:
        choice["message"] = {k: v for k, v in choice["message"].items() if v}
        choice.get("logprobs", {}).pop("refusal", None)
    return answer


@given(st.data())
def test_a_stream_says_what_the_whole_answer_says(data):
    answer = data.draw(ANSWERS)
    reader = dialect.reader(ASKED)
    chunks = chunks_of(reader, data.draw(streamed(answer)))
    assert reader.ended
    assert plain(joined(chunks)) == plain(dialect.read_answer(answer, ASKED))


@given(ANSWERS)
def test_what_gemini_said_goes_back_to_it_as_it_came(answer):
    """Parts, their order and their signatures; thoughts for readers alone need not."""
    said = dialect.read_answer(answer, ASKED)["choices"][0]["message"]
    calls = said.get("tool_calls", ())
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "done"} for call in calls]
    sent = body([*HI, said, *results, {"role": "user", "content": "go on"}], tools=TOOLS)
    returned = [c["parts"] for c in sent["contents"] if c["role"] == "model"]
    came = answer["candidates"][0]["content"]["parts"]
    if "provider_specific_fields" in said:
        wanted, returned = dialect.answer._whole(came), sum(returned, [])
        assert returned == wanted
    else:
        texts = "".join(p["text"] for p in came if "text" in p and not p.get("thought"))
        assert "".join(p.get("text", "") for parts in returned for p in parts) == texts


def test_the_ids_of_calls_are_the_same_whenever_an_answer_is_read_and_none_is_twice():
    call = {"functionCall": {"name": "look", "args": {}}}
    said = {"responseId": "r1", "candidates": [{"content": {"parts": [call, call]}}] * 2}
    ids = [
        [c["id"] for choice in dialect.read_answer(said, ASKED)["choices"]
         for c in choice["message"]["tool_calls"]]
        for _ in range(2)
    ]  # fmt: skip
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 4


def test_a_call_that_gemini_has_named_gets_a_named_result():
    call = {"functionCall": {"id": "gjl2", "name": "look", "args": {}}, "thoughtSignature": "CosC"}
    said = dialect.read_answer({"candidates": [{"content": {"parts": [call]}}]}, ASKED)
    message = said["choices"][0]["message"]
    result = {"role": "tool", "tool_call_id": "gjl2", "content": "done"}
    sent = body([*HI, message, result], tools=TOOLS)["contents"]
    assert sent[1]["parts"] == [call]
    assert sent[2]["parts"][0]["functionResponse"] == {
        "name": "look", "id": "gjl2", "response": {"output": "done"}
    }  # fmt: skip


def test_a_blocked_prompt_is_an_answer_of_a_filter():
    said = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}}
    choice = dialect.read_answer(said, ASKED)["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == (None, "content_filter")
    reader = dialect.reader(ASKED)
    assert joined(chunks_of(reader, [said]))["choices"][0]["finish_reason"] == "content_filter"
    assert reader.ended


def test_an_error_in_the_middle_of_a_stream_is_no_end():
    reader = dialect.reader(ASKED)
    reader.feed({"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}})
    assert not reader.ended
    assert (reader.refusal.kind, reader.refusal.status) == ("UNAVAILABLE", 503)


# Requests.


@given(conversations(), st.sampled_from(MODELS))
def test_a_conversation_is_one_that_gemini_takes(messages, model):
    strict.taken("gemini", body(messages, model, tools=TOOLS), model)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", OPTIONS)
def test_each_option_changes_the_body_or_is_named_as_lost(name, model):
    tools = {} if name == "response_format" and model < "gemini-3" else {"tools": TOOLS}
    bare = written(model=model, **tools)
    with_it = written(model=model, **tools, **{name: OPTIONS[name]})
    assert set(with_it.lost) - set(bare.lost) or with_it.body != bare.body


def test_what_must_not_be_lost_makes_it_unable():
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
    web = [
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}],
        }
    ]
    for model, messages, options in (
        ("gemini-2.0-flash", web, {}),
        ("gemini-2.5-pro", HI, {"tools": TOOLS, "response_format": wanted}),
        ("gemini-3-pro", HI, {"stop": list("abcdef")}),
        ("gemini-3-pro", HI, {"tools": [{"type": "bash_20250124", "name": "bash"}]}),
        ("gemini-3-pro", HI, {"tools": [{"type": "local_shell"}]}),
    ):
        with pytest.raises(Unable):
            body(messages, model, **options)


def test_the_settings():
    sent = body(
        [{"role": "developer", "content": "be brief"}, *HI], temperature=1.5, top_p=0.9, top_k=4,
        n=2, max_completion_tokens=9, stop="END", logprobs=True, top_logprobs=2, seed=1,
        response_format={"type": "json_schema", "json_schema": {"schema": {"$ref": "#/$defs/A",
                         "$defs": {"A": {"const": 1, "title": "A"}}}}},
        safety_settings=[{"category": "c"}], thinking={"type": "enabled", "budget_tokens": 2000},
    )  # fmt: skip
    assert sent == {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "systemInstruction": {"parts": [{"text": "be brief"}]},
        "safetySettings": [{"category": "c"}],
        "generationConfig": {
            "temperature": 1.5, "topP": 0.9, "topK": 4, "candidateCount": 2, "maxOutputTokens": 9,
            "stopSequences": ["END"], "responseLogprobs": True, "logprobs": 2, "seed": 1,
            "responseMimeType": "application/json",
            "responseJsonSchema": {"$ref": "#/$defs/A", "$defs": {"A": {"enum": [1], "title": "A"}}},
            "thinkingConfig": {"thinkingBudget": 2000, "includeThoughts": True},
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("model", "effort", "config", "lost"),
    [
        ("gemini-2.0-flash", "high", None, True),
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}, False),
        ("gemini-2.5-pro", "none", None, True),
        ("gemini-2.5-pro", "medium", {"thinkingBudget": 8192, "includeThoughts": True}, False),
        ("gemini-3-flash", "minimal", {"thinkingLevel": "minimal", "includeThoughts": True}, False),
        ("gemini-3.1-pro", "minimal", {"thinkingLevel": "low", "includeThoughts": True}, True),
        ("gemini-3.1-pro", "xhigh", {"thinkingLevel": "high", "includeThoughts": True}, True),
        ("gemini-3.1-pro", "odd", None, True),
    ],
)
def test_an_effort(model, effort, config, lost):
    made = written(model=model, reasoning_effort=effort)
    assert made.body.get("generationConfig", {}).get("thinkingConfig") == config
    assert ("reasoning_effort" in made.lost) == lost


def test_tools_and_searches():
    made = written(
        tools=[*TOOLS[:1], {"type": "web_search_20250305", "name": "web_search"}, {"codeExecution": {}},
               {"type": "image_generation"}],
        tool_choice={"type": "function", "function": {"name": "look"}},
    )  # fmt: skip
    declared, *vendor = made.body["tools"]
    (function,) = declared["functionDeclarations"]
    assert "minLength: 2" in function["parametersJsonSchema"]["properties"]["city"]["description"]
    assert vendor == [{"codeExecution": {}}, {"googleSearch": {}}]
    assert made.body["toolConfig"] == {
        "includeServerSideToolInvocations": True,
        "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["look"]},
    }
    assert made.lost == ("schema:minLength", "server_tool:image_generation")
    old = written(model="gemini-2.5-pro", tools=TOOLS, web_search_options={})
    assert len(old.body["tools"]) == 1
    assert "server_tool:google_search" in old.lost


def test_the_media_of_a_message_and_of_a_tools_result():
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{broken"}}
    sound = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}
    web = {"type": "image_url", "image_url": {"url": "https://a.example/b.webp"}}
    messages = [
        {"role": "user", "content": [sound, web]},
        {"role": "assistant", "tool_calls": [call]},
        {
            "role": "tool",
            "tool_call_id": "c1",
            "content": [{"type": "text", "text": '{"a": 1}'}, IMAGE],
        },
    ]
    made = written(messages)
    pixel = {"inlineData": {"mimeType": "image/png", "data": PIXEL.partition(",")[2]}}
    assert made.body["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "audio/mpeg", "data": "AAAA"}},
        {"fileData": {"mimeType": "image/webp", "fileUri": "https://a.example/b.webp"}},
    ]
    assert made.body["contents"][1]["parts"][0]["functionCall"]["args"] == {"arguments": "{broken"}
    result = {"name": "look", "response": {"a": 1}}
    assert made.body["contents"][2]["parts"] == [{"functionResponse": {**result, "parts": [pixel]}}]
    assert made.lost == ("tool_arguments",)
    old = body(messages, "gemini-2.5-flash")
    assert old["contents"][2]["parts"] == [{"functionResponse": result}, pixel]


def test_a_tools_name_that_does_not_fit_comes_back_as_the_caller_gave_it():
    tool = {"type": "function", "function": {"name": "1/read", "parameters": SCHEMA}}
    made = written(tools=[tool])
    sent = made.body["tools"][0]["functionDeclarations"][0]["name"]
    said = {"candidates": [{"content": {"parts": [{"functionCall": {"name": sent}}]}}]}
    (call,) = dialect.read_answer(said, made.asked)["choices"][0]["message"]["tool_calls"]
    assert call["function"] == {"name": "1/read", "arguments": json.dumps({})}


# A caller who speaks it.


def ordered(answer: Any) -> Any:
    """Return an answer of what the pivot holds by itself: a thought, a text, calls."""
    candidates = []
    for candidate in answer["candidates"]:
        parts = candidate["content"]["parts"]
        thought = [p for p in parts if p.get("thought") and p["text"]][:1]
        said = [p for p in parts if p.keys() == {"text"} and p["text"]][:1]
        calls = [{"functionCall": p["functionCall"]} for p in parts if "functionCall" in p]
        content = {"role": "model", "parts": [*thought, *said, *calls]}
        candidates.append({"content": content, "finishReason": candidate["finishReason"]})
    return {**answer, "candidates": candidates}


@given(ANSWERS.map(ordered))
def test_an_answer_that_is_written_and_read_is_the_same(answer):
    read = dialect.read_answer(answer, ASKED)
    again = dialect.read_answer(dialect.write_answer(read), ASKED)
    assert plain(again) == plain(read)


@given(st.data())
def test_a_stream_that_is_written_and_read_is_the_same(data):
    answer = data.draw(ANSWERS.map(ordered))
    chunks = chunks_of(dialect.reader(ASKED), data.draw(streamed(answer)))
    writer = dialect.writer()
    told = [e for c in chunks for e in writer.feed(c)] + writer.finish()
    assert plain(joined(chunks_of(dialect.reader(ASKED), told))) == plain(joined(chunks))


@given(conversations())
def test_a_request_that_is_written_and_read_is_written_the_same_again(messages):
    first = body(messages, tools=TOOLS, tool_choice="required", stop=["END"], temperature=0.5)
    read = dialect.read_request(first)
    assert read.lost == ()
    again = dialect.write_request({"model": "gemini-3-pro", **read.request}).body
    joined_up = "".join(
        part["text"] for part in first.get("systemInstruction", {"parts": ()})["parts"]
    )
    if joined_up:  # several system messages are one
        first["systemInstruction"] = {"parts": [{"text": joined_up}]}
    assert again == first


def test_a_recorded_request_is_read_and_written_as_it_was():
    for entry in recorded("gemini"):
        request = entry["req"]
        model = entry["url"].rsplit("/models/", 1)[1].split(":")[0]
        try:
            read = dialect.read_request(request)
            made = dialect.write_request({"model": model, **read.request})
        except (Unable, Unreadable):
            continue
        sent = json.dumps(made.body)
        for content in request["contents"]:
            for part in content["parts"] if isinstance(content["parts"], list) else ():
                signature = part.get("thoughtSignature") or part.get("thought_signature")
                assert signature is None or signature in sent, entry["id"]
                if "text" in part and part["text"] and not part.get("thought"):
                    assert json.dumps(part["text"])[1:-1] in sent, entry["id"]
                call = part.get("functionCall") or part.get("function_call")
                if call:
                    assert json.dumps(call["name"]) in sent, entry["id"]
