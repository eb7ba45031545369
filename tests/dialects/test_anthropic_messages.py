"""Anthropic's Messages API as a target."""

from __future__ import annotations

import json
from typing import Any

import pytest
import strict
from asking import IMAGE, OPTIONS, PIXEL, SCHEMA, TOOLS, conversations
from hypothesis import given
from hypothesis import strategies as st
from saying import ASKED, chunks_of, cut, joined, recorded

from pilotlight.dialects import anthropic_messages as dialect
from pilotlight.dialects.base import Unable, Unreadable

HI = [{"role": "user", "content": "hi"}]
MODELS = [
    "claude-3-5-haiku-latest", "claude-sonnet-4-20250514", "claude-sonnet-4-5",
    "claude-opus-4-6", "claude-opus-5-5", "some-other",
]  # fmt: skip


def body(messages: Any = HI, model: str = "claude-sonnet-4-5", **options: Any) -> Any:
    return dialect.write_request({"model": model, "messages": messages, **options}).body


def lost(messages: Any = HI, model: str = "claude-sonnet-4-5", **options: Any) -> Any:
    return dialect.write_request({"model": model, "messages": messages, **options}).lost


# Answers and streams.

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SIGNATURES = st.sampled_from(["anthropic-1", "anthropic-2"])
CITED = {
    "type": "web_search_result_location", "url": "https://a.example/", "title": "A",
    "cited_text": "c", "encrypted_index": "EpAB",
}  # fmt: skip
BLOCKS = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("text"), "text": TEXTS},
        optional={"citations": st.lists(st.just(CITED), min_size=1, max_size=2)},
    ),
    st.fixed_dictionaries(
        {"type": st.just("thinking"), "thinking": TEXTS, "signature": SIGNATURES}
    ),
    st.just({"type": "redacted_thinking", "data": "sealed"}),
    st.fixed_dictionaries(
        {
            "type": st.just("tool_use"),
            "id": st.just("toolu_1"),
            "name": st.sampled_from(["look", "find"]),
            "input": st.dictionaries(TEXTS, st.integers() | TEXTS, max_size=2),
        }
    ),
    st.just({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}),
    st.just({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}),
)
REASONS = st.sampled_from(
    ["end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal", "pause_turn",
     "model_context_window_exceeded", "next_years_reason"]
)  # fmt: skip
COUNTS = st.integers(0, 10_000)
USAGE = st.fixed_dictionaries(
    {"input_tokens": COUNTS, "output_tokens": COUNTS},
    optional={
        "cache_read_input_tokens": COUNTS,
        "cache_creation_input_tokens": COUNTS,
        "output_tokens_details": st.fixed_dictionaries({"thinking_tokens": COUNTS}),
    },
)
MESSAGES = st.fixed_dictionaries(
    {
        "id": st.just("msg_1"), "type": st.just("message"), "role": st.just("assistant"),
        "model": st.just("claude-sonnet-4-5"), "content": st.lists(BLOCKS, max_size=5),
        "stop_reason": REASONS, "stop_sequence": st.none() | st.just("END"), "usage": USAGE,
    }
)  # fmt: skip
_SAID = {"text": ("text", "text_delta"), "thinking": ("thinking", "thinking_delta")}


@st.composite
def streamed(draw: Any, message: dict[str, Any]) -> list[Any]:
    """Cut a message into events as Anthropic does, each text anywhere."""
    usage = message["usage"]
    begun = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    said: list[Any] = [
        {"type": "message_start", "message": {**begun, "usage": {**usage, "output_tokens": 1}}}
    ]
    for index, block in enumerate(message["content"]):
        deltas: list[Any] = []
        start = dict(block)
        if field := _SAID.get(block["type"]):
            start[field[0]] = ""
            deltas = [{"type": field[1], field[0]: piece} for piece in draw(cut(block[field[0]]))]
        if block["type"] == "thinking":
            start["signature"] = ""
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        for citation in start.pop("citations", ()):
            deltas.append({"type": "citations_delta", "citation": citation})
        if block["type"] == "tool_use" and draw(st.booleans()):
            start["input"] = {}
            pieces = draw(cut(json.dumps(block["input"])))
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
        said.append({"type": "content_block_start", "index": index, "content_block": start})
        said += [{"type": "content_block_delta", "index": index, "delta": d} for d in deltas]
        said += [{"type": "ping"}, {"type": "content_block_stop", "index": index}]
    ends = {name: message[name] for name in ("stop_reason", "stop_sequence")}
    return [
        *said,
        {"type": "message_delta", "delta": ends, "usage": usage},
        {"type": "message_stop"},
    ]


def plain(answer: Any) -> Any:
    """Return an answer with its arguments as JSON and without what is empty."""
    for choice in answer["choices"]:
        for call in choice["message"].get("tool_calls") or ():
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
        choice["message"] = {k: v for k, v in choice["message"].items() if v or k == "content"}
    return answer


@given(st.data())
def test_a_stream_says_what_the_whole_answer_says(data):
    message = data.draw(MESSAGES)
    reader = dialect.reader(ASKED)
    chunks = chunks_of(reader, data.draw(streamed(message)))
    assert reader.ended
    assert reader.refusal is None
    assert plain(joined(chunks)) == plain(dialect.read_answer(message, ASKED))


@given(MESSAGES)
def test_what_anthropic_said_goes_back_to_it_as_it_came(message):
    """Blocks, their order, signatures, citations and searches."""
    for number, block in enumerate(message["content"]):
        if block["type"] == "tool_use":
            block["id"] = f"toolu_{number}"  # the API gives no id twice
    said = dialect.read_answer(message, ASKED)["choices"][0]["message"]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "done"}
        for call in said.get("tool_calls", ())
    ]
    sent = body([*HI, said, *results, {"role": "user", "content": "go on"}], tools=TOOLS)
    turns = [turn["content"] for turn in sent["messages"] if turn["role"] == "assistant"]
    whole = "provider_specific_fields" in said
    came = message["content"] if whole else _merged(message["content"])
    came = [block for block in came if block.get("text") != ""]  # the API takes no empty one
    while came and "thinking" in came[-1]["type"]:
        came.pop()  # a turn may not end with one
    assert sum(turns, []) == came


def _merged(blocks: list[Any]) -> list[Any]:
    words = "".join(b["text"] for b in blocks if b["type"] == "text")
    thoughts = [b for b in blocks if "thinking" in b["type"]]
    text = [{"type": "text", "text": words}] if words.strip() else []
    return [*thoughts, *text, *(b for b in blocks if b["type"] == "tool_use")]


def test_an_error_in_the_middle_of_a_stream_is_no_end():
    reader = dialect.reader(ASKED)
    reader.feed({"type": "message_start", "message": {"id": "m", "model": "x"}})
    error = {"type": "overloaded_error", "message": "Overloaded"}
    assert reader.feed({"type": "error", "error": error}) == []
    assert not reader.ended
    assert (reader.refusal.kind, reader.refusal.message) == ("overloaded_error", "Overloaded")
    assert reader.feed({"type": "message_stop"}) == []
    assert not reader.ended


# Requests.


@given(conversations(), st.sampled_from(MODELS))
def test_a_conversation_is_one_that_anthropic_takes(messages, model):
    strict.taken("anthropic", body(messages, model, tools=TOOLS), model)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", OPTIONS)
def test_each_option_changes_the_body_or_is_named_as_lost(name, model):
    bare = dialect.write_request({"model": model, "messages": HI, "tools": TOOLS})
    with_it = dialect.write_request(
        {"model": model, "messages": HI, "tools": TOOLS, name: OPTIONS[name]}
    )
    gone = set(with_it.lost) - set(bare.lost)
    assert gone or with_it.body != bare.body
    assert name not in with_it.lost or gone


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("effort", ["none", "minimal", "low", "medium", "high", "xhigh", "max"])
@pytest.mark.parametrize("limit", [None, 500, 1500, 100_000])
@pytest.mark.parametrize("choice", [None, "auto", "required", "none"])
def test_thought_has_room_and_stands_in_nobodys_way(model, effort, limit, choice):
    sent = body(model=model, reasoning_effort=effort, max_tokens=limit, temperature=0.2,
                tools=TOOLS, tool_choice=choice)  # fmt: skip
    thinking = sent.get("thinking", {})
    assert sent["max_tokens"] == (limit or sent["max_tokens"])
    if thinking:
        forced = sent.get("tool_choice", {}).get("type") in ("any", "tool")
        assert not forced or (thinking["type"] == "adaptive" and "-4-6" in model)
        assert "temperature" not in sent
    if "budget_tokens" in thinking:
        assert 1024 <= thinking["budget_tokens"] < sent["max_tokens"]


def test_what_must_not_be_lost_makes_it_unable():
    for messages, options in (
        ([{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AA=="}}]}], {}),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/tiff;base64,AA=="}}]}], {}),
        ([{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}], {}),
        (HI, {"tools": [{"type": "custom", "custom": {"name": "sql"}}]}),
        (HI, {"tools": [{"type": "computer_use_preview"}]}),
        (HI, {"stop": ["\n"]}),
        (HI, {"response_format": {"type": "grammar"}}),
    ):  # fmt: skip
        with pytest.raises(Unable):
            body(messages, **options)


def test_a_schema_is_native_where_the_model_has_it_and_a_tool_where_not():
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
    native = dialect.write_request(
        {"model": "claude-sonnet-4-5", "messages": HI, "response_format": wanted}
    )
    schema = native.body["output_config"]["format"]["schema"]
    assert schema["additionalProperties"] is False
    assert "minLength" not in schema["properties"]["city"]
    assert "minLength: 2" in schema["properties"]["city"]["description"]
    assert native.lost == ("schema:minLength",)
    written = dialect.write_request(
        {"model": "claude-3-5-haiku-latest", "messages": HI, "response_format": wanted}
    )
    tool = written.body["tools"][0]
    assert tool["input_schema"] == SCHEMA
    assert written.body["tool_choice"] == {"type": "tool", "name": tool["name"]}
    call = {"type": "tool_use", "id": "toolu_1", "name": tool["name"], "input": {"city": "Bonn"}}
    said = {"content": [call], "stop_reason": "tool_use"}
    choice = dialect.read_answer(said, written.asked)["choices"][0]
    assert json.loads(choice["message"]["content"]) == {"city": "Bonn"}
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "stop"


def test_a_tools_name_that_does_not_fit_comes_back_as_the_caller_gave_it():
    tool = {"type": "function", "function": {"name": "files/read.it", "parameters": SCHEMA}}
    called = {
        "id": "c1",
        "type": "function",
        "function": {"name": "files/read.it", "arguments": "{}"},
    }
    history = [*HI, {"role": "assistant", "tool_calls": [called]},
               {"role": "tool", "tool_call_id": "c1", "content": "x"}]  # fmt: skip
    written = dialect.write_request({"model": "claude-x", "messages": history, "tools": [tool]})
    sent = written.body["tools"][0]["name"]
    assert sent == written.body["messages"][1]["content"][0]["name"] != "files/read.it"
    block = {"type": "tool_use", "id": "toolu_1", "name": sent, "input": {}}
    answer = dialect.read_answer({"content": [block]}, written.asked)
    assert answer["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "files/read.it"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        ({"type": "function", "function": {"name": "look"}}, {"type": "tool", "name": "look"}),
        ({"type": "any"}, {"type": "any"}),
    ],
)
def test_the_choice_of_a_tool(given, sent):
    assert body(tools=TOOLS, tool_choice=given)["tool_choice"] == sent
    alone = body(tools=TOOLS, tool_choice=given, parallel_tool_calls=False)["tool_choice"]
    assert alone == (sent if given == "none" else {**sent, "disable_parallel_tool_use": True})


def test_only_the_allowed_tools_are_sent():
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "look"}}]}
    sent = body(tools=TOOLS, tool_choice={"type": "allowed_tools", "allowed_tools": allowed})
    assert [tool["name"] for tool in sent["tools"]] == ["look"]
    assert sent["tool_choice"] == {"type": "any"}


def test_cache_marks_stay_where_they_were():
    mark = {"type": "ephemeral"}
    sent = body(
        [
            {"role": "system", "content": [{"type": "text", "text": "s", "cache_control": mark}]},
            {"role": "user", "content": [{**IMAGE, "cache_control": mark}]},
            {"role": "assistant", "content": "a", "cache_control": mark},
            {"role": "user", "content": "u"},
        ],
        tools=[{**TOOLS[0], "cache_control": mark}],
    )
    places = [sent["system"][0], *(turn["content"][-1] for turn in sent["messages"][:2])]
    assert [block["cache_control"] for block in [*places, sent["tools"][0]]] == [mark] * 4


def test_the_media_of_a_message_and_of_a_tools_result():
    pdf = {
        "type": "file",
        "file": {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a.pdf"},
    }
    note = {
        "type": "file",
        "file": {"file_data": "data:text/plain;base64,aGk=", "filename": "a.txt"},
    }
    web = {"type": "image_url", "image_url": {"url": "https://a.example/b.png", "detail": "high"}}
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": ""}}
    written = dialect.write_request({"model": "claude-sonnet-4-5", "messages": [
        {"role": "user", "content": [pdf, note, web]},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": [IMAGE]},
    ]})  # fmt: skip
    first, _, last = (turn["content"] for turn in written.body["messages"])
    assert first == [
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}, "title": "a.pdf"},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hi"}, "title": "a.txt"},
        {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}},
    ]  # fmt: skip
    pixel = {"type": "base64", "media_type": "image/png", "data": PIXEL.partition(",")[2]}
    assert last[0]["content"] == [{"type": "image", "source": pixel}]
    assert written.body["tools"] == [{"name": "look", "input_schema": {"type": "object"}}]
    assert written.body["tool_choice"] == {"type": "none"}
    assert written.lost == ("image_detail",)


def test_its_own_options_go_as_they_are_and_are_announced():
    edits = {"edits": [{"type": "clear_tool_uses_20250919"}]}
    written = dialect.write_request(
        {"model": "claude-sonnet-4-5", "messages": HI, "context_management": edits,
         "betas": ["x-1"], "extra_body": {"new": 1}, "tools": [{"type": "web_search_20250305", "name": "web_search"}]}
    )  # fmt: skip
    assert written.body["context_management"] == edits
    assert written.body["new"] == 1
    assert written.body["tools"] == [{"type": "web_search_20250305", "name": "web_search"}]
    assert written.headers == {"anthropic-beta": "x-1,context-management-2025-06-27"}
    assert written.lost == ()


# A caller who speaks it.


def ordered(message: Any) -> Any:
    """Return a message of what the pivot holds by itself."""
    order = {"thinking": 0, "redacted_thinking": 0, "text": 1, "tool_use": 2}
    blocks = [b for b in message["content"] if b["type"] in order and b.get("text") != ""]
    for number, block in enumerate(blocks := sorted(blocks, key=lambda b: order[b["type"]])):
        block.pop("citations", None)
        if "id" in block:
            block["id"] = f"toolu_{number}"
    texts = [b for b in blocks if b["type"] == "text"]
    return {**message, "content": [b for b in blocks if b not in texts[1:]]}


@given(MESSAGES.map(ordered))
def test_an_answer_that_is_written_and_read_is_the_same(message):
    answer = dialect.read_answer(message, ASKED)
    written = dialect.write_answer(answer)
    assert written["content"] == message["content"]
    assert plain(dialect.read_answer(written, ASKED)) == plain(answer)


@given(st.data())
def test_a_stream_that_is_written_and_read_is_the_same(data):
    message = data.draw(MESSAGES.map(ordered))
    chunks = chunks_of(dialect.reader(ASKED), data.draw(streamed(message)))
    writer = dialect.writer()
    told = [event for chunk in chunks for event in writer.feed(chunk)] + writer.finish()
    indices = [e["index"] for e in told if e["type"] == "content_block_start"]
    assert indices == list(range(len(indices)))
    assert plain(joined(chunks_of(dialect.reader(ASKED), told))) == plain(joined(chunks))


@given(st.lists(st.tuples(st.sampled_from([0, 1, "text"]), TEXTS), max_size=8))
def test_pieces_that_come_across_each_other_are_told_one_after_the_other(pieces):
    """Anthropic's blocks can't; other servers' calls may."""
    writer = dialect.writer()
    whole: dict[Any, str] = {}
    told: list[Any] = []
    for kind, said in pieces:
        delta: Any = {"content": said}
        if kind != "text":
            name = {} if kind in whole else {"name": f"f{kind}"}
            call = {"index": kind, **({"id": f"c{kind}"} if name else {})}
            delta = {"tool_calls": [{**call, "function": {**name, "arguments": said}}]}
        whole[kind] = whole.get(kind, "") + said
        chunk = {"id": "x", "model": "m", "choices": [{"index": 0, "delta": delta}]}
        told += writer.feed(chunk)
    told += writer.finish()
    pieces_of: dict[Any, str] = {}
    names: dict[int, Any] = {}
    for event in told:
        if event["type"] == "content_block_start":
            block = event["content_block"]
            names[event["index"]] = int(block["name"][1]) if block["type"] == "tool_use" else "text"
            assert names[event["index"]] == "text" or names[event["index"]] not in pieces_of
            pieces_of.setdefault(names[event["index"]], "")
        if event["type"] == "content_block_delta":
            said = event["delta"].get("partial_json") or event["delta"].get("text") or ""
            pieces_of[names[event["index"]]] += said
    assert {k: v for k, v in pieces_of.items() if v} == {k: v for k, v in whole.items() if v}


@given(conversations())
def test_a_request_that_is_written_and_read_is_written_the_same_again(messages):
    first = body(messages, tools=TOOLS, tool_choice="required", stop=["END"], temperature=0.5)
    read = dialect.read_request(first)
    assert read.lost == ()
    assert dialect.write_request(read.request).body == first


def test_a_recorded_request_is_read_and_written_as_it_was():
    left_out = {
        "temperature", "max_tokens", "output_format", "output_config", "betas", "metadata",
        "stream", "thinking", "tools", "system", "top_p", "context_management",
    }  # fmt: skip
    for entry in recorded("anthropic"):
        request = entry["req"]
        if not request.get("messages") or any(m["role"] == "system" for m in request["messages"]):
            continue
        try:
            made = dialect.write_request(dialect.read_request(request).request)
        except (Unable, Unreadable):
            continue
        for name in (made.body.keys() | request.keys()) - left_out - {"messages", "tool_choice"}:
            assert made.body.get(name) == (request.get(name) or None), (entry["id"], name)
        came = [b for m in request["messages"] for b in m["content"] if isinstance(b, dict)]
        ids = [b["id"] for b in came if b["type"] == "tool_use"]
        sent = [b for m in made.body["messages"] for b in m["content"]]
        assert [b["id"] for b in sent if b["type"] == "tool_use"] == ids
        for kind in ("image", "thinking", "server_tool_use", "container_upload"):
            assert [b for b in sent if b["type"] == kind] == [
                {k: v for k, v in b.items() if v is not None or kind != "image"}
                for b in came
                if b["type"] == kind
            ], (entry["id"], kind)
