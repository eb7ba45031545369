"""The official SDKs take the server for the real thing."""

from __future__ import annotations

import json
from collections.abc import Iterator

import anthropic
import httpx
import ollama
import openai
import pytest
from google import genai
from google.genai import types

from pilotlight_chaos import ChaosServer, HostedModel

TEXT = "one two three four five"
ASK = [{"role": "user", "content": "Please use the tool weather for 'Paris'"}]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "weather", "description": "The weather", "parameters": PARAMETERS}
TOOL = {"type": "function", "function": FUNCTION}


@pytest.fixture
def openai_client(server: ChaosServer, http: httpx.Client) -> openai.OpenAI:
    base = f"{server.base('primary')}/v1"
    return openai.OpenAI(base_url=base, api_key="k", max_retries=0, http_client=http)


@pytest.fixture
def claude(server: ChaosServer, http: httpx.Client) -> Iterator[anthropic.Anthropic]:
    base = server.base("second")
    with anthropic.Anthropic(base_url=base, api_key="k", max_retries=0) as client:
        yield client


@pytest.fixture
def gemini(server: ChaosServer) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=server.base("third"))
    with genai.Client(api_key="k", http_options=options) as client:
        yield client


@pytest.fixture
def local(server: ChaosServer) -> Iterator[ollama.Client]:
    client = ollama.Client(host=server.base("local"), trust_env=False)
    yield client
    client._client.close()


class TestOpenAI:
    def test_plain(self, openai_client: openai.OpenAI) -> None:
        reply = openai_client.chat.completions.create(model="gpt-4o", messages=ASK)
        assert reply.choices[0].message.content == TEXT
        assert reply.choices[0].finish_reason == "stop"
        assert reply.model == "gpt-4o"
        assert reply.usage.completion_tokens == 5
        assert reply.usage.total_tokens == reply.usage.prompt_tokens + 5

    def test_stream_with_usage(self, openai_client: openai.OpenAI) -> None:
        stream = openai_client.chat.completions.create(
            model="gpt-4o", messages=ASK, stream=True, stream_options={"include_usage": True}
        )
        *chunks, last = list(stream)
        said = [chunk.choices[0].delta.content for chunk in chunks]
        assert [piece for piece in said if piece] == ["one ", "two ", "three ", "four ", "five"]
        assert chunks[-1].choices[0].finish_reason == "stop"
        assert last.usage.completion_tokens == 5

    @pytest.mark.parametrize("choice", ["auto", "required"])
    def test_tool(self, openai_client: openai.OpenAI, choice: str) -> None:
        reply = openai_client.chat.completions.create(
            model="gpt-4o", messages=ASK, tools=[TOOL], tool_choice=choice
        )
        call = reply.choices[0].message.tool_calls[0].function
        assert (call.name, json.loads(call.arguments)) == ("weather", {"city": "Paris"})
        assert reply.choices[0].finish_reason == "tool_calls"

    def test_tool_result_is_answered_with_text(self, openai_client: openai.OpenAI) -> None:
        messages = [*ASK, {"role": "tool", "tool_call_id": "1", "content": "sunny"}]
        reply = openai_client.chat.completions.create(
            model="gpt-4o", messages=messages, tools=[TOOL]
        )
        assert reply.choices[0].message.content == TEXT

    def test_streamed_tool(self, openai_client: openai.OpenAI) -> None:
        stream = openai_client.chat.completions.create(
            model="gpt-4o", messages=ASK, tools=[TOOL], stream=True
        )
        parts = [c for chunk in stream for c in chunk.choices[0].delta.tool_calls or ()]
        assert parts[0].function.name == "weather"
        assert json.loads("".join(p.function.arguments for p in parts)) == {"city": "Paris"}

    def test_json_and_token_limit(self, openai_client: openai.OpenAI, server: ChaosServer) -> None:
        wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": PARAMETERS}}
        reply = openai_client.chat.completions.create(
            model="gpt-4o", messages=ASK, response_format=wanted
        )
        assert json.loads(reply.choices[0].message.content) == {"city": "Paris"}
        reply = openai_client.chat.completions.create(model="gpt-4o", messages=ASK, max_tokens=2)
        assert reply.choices[0].message.content == "one two "
        assert reply.choices[0].finish_reason == "length"

    def test_models_and_embeddings(self, openai_client: openai.OpenAI) -> None:
        assert "gpt-4o" in [model.id for model in openai_client.models.list()]
        reply = openai_client.embeddings.create(model="e", input=["a", "b"])
        vectors = [entry.embedding for entry in reply.data]
        assert len(vectors) == 2
        assert vectors[0] != vectors[1]


class TestOpenAIResponses:
    def test_plain(self, openai_client: openai.OpenAI) -> None:
        said = openai_client.responses.create(model="gpt-4o", input="hi")
        assert (said.output_text, said.status) == (TEXT, "completed")
        assert said.usage.output_tokens == 5

    def test_stream(self, openai_client: openai.OpenAI) -> None:
        with openai_client.responses.stream(model="gpt-4o", input="hi") as stream:
            pieces = [e.delta for e in stream if e.type == "response.output_text.delta"]
            assert pieces == ["one ", "two ", "three ", "four ", "five"]
            assert stream.get_final_response().output_text == TEXT

    def test_tool(self, openai_client: openai.OpenAI) -> None:
        tool = {"type": "function", **FUNCTION, "strict": False}
        asked = {"model": "gpt-4o", "input": ASK, "tools": [tool]}
        call = openai_client.responses.create(**asked).output[0]
        assert (call.name, json.loads(call.arguments)) == ("weather", {"city": "Paris"})
        with openai_client.responses.stream(**asked) as stream:
            assert stream.get_final_response().output[0].arguments == call.arguments

    def test_a_cut_answer_is_incomplete(self, openai_client: openai.OpenAI) -> None:
        said = openai_client.responses.create(model="gpt-4o", input="hi", max_output_tokens=2)
        assert (said.status, said.incomplete_details.reason) == ("incomplete", "max_output_tokens")

    def test_a_fault_of_openais_strikes_it_too(
        self, server: ChaosServer, openai_client: openai.OpenAI
    ) -> None:
        server.fault("openai", "rate_limit")
        with pytest.raises(openai.RateLimitError):
            openai_client.responses.create(model="gpt-4o", input="hi")


class TestAnthropic:
    def test_plain(self, claude: anthropic.Anthropic) -> None:
        reply = claude.messages.create(model="claude-x", max_tokens=50, messages=ASK)
        assert reply.content[0].text == TEXT
        assert reply.stop_reason == "end_turn"
        assert reply.usage.output_tokens == 5

    def test_stream(self, claude: anthropic.Anthropic) -> None:
        with claude.messages.stream(model="claude-x", max_tokens=50, messages=ASK) as stream:
            assert list(stream.text_stream) == ["one ", "two ", "three ", "four ", "five"]
            final = stream.get_final_message()
        assert final.stop_reason == "end_turn"
        assert final.usage.output_tokens == 5

    def test_tool(self, claude: anthropic.Anthropic) -> None:
        tool = {"name": "weather", "input_schema": PARAMETERS}
        reply = claude.messages.create(
            model="claude-x",
            max_tokens=50,
            messages=ASK,
            tools=[tool],
            tool_choice={"type": "tool", "name": "weather"},
        )
        assert reply.content[0].input == {"city": "Paris"}
        assert reply.stop_reason == "tool_use"
        with claude.messages.stream(
            model="claude-x", max_tokens=50, messages=ASK, tools=[tool]
        ) as stream:
            assert stream.get_final_message().content[0].input == {"city": "Paris"}

    def test_models(self, claude: anthropic.Anthropic) -> None:
        assert [model.id for model in claude.models.list()] == ["claude-sonnet-4-5"]


class TestGemini:
    def test_plain(self, gemini: genai.Client) -> None:
        reply = gemini.models.generate_content(model="gemini-2.5-flash", contents="hi")
        assert reply.text == TEXT
        assert reply.candidates[0].finish_reason == types.FinishReason.STOP
        assert reply.usage_metadata.candidates_token_count == 5

    def test_stream(self, gemini: genai.Client) -> None:
        stream = gemini.models.generate_content_stream(model="gemini-2.5-flash", contents="hi")
        chunks = list(stream)
        assert "".join(chunk.text or "" for chunk in chunks) == TEXT
        assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP

    def test_tool(self, gemini: genai.Client) -> None:
        tool = types.Tool(function_declarations=[types.FunctionDeclaration(**FUNCTION)])
        config = types.GenerateContentConfig(tools=[tool])
        contents = ASK[0]["content"]
        reply = gemini.models.generate_content(
            model="gemini-2.5-flash", contents=contents, config=config
        )
        assert reply.function_calls[0].args == {"city": "Paris"}

    def test_models(self, gemini: genai.Client) -> None:
        assert [model.name for model in gemini.models.list()] == ["models/gemini-2.5-flash"]


class TestOllama:
    def test_plain(self, local: ollama.Client) -> None:
        reply = local.chat("llama3.2:3b", messages=ASK)
        assert (reply.message.content, reply.done_reason, reply.eval_count) == (TEXT, "stop", 5)
        assert local.generate("llama3.2:3b", prompt="hi").response == TEXT

    def test_stream(self, local: ollama.Client) -> None:
        chunks = list(local.chat("llama3.2:3b", messages=ASK, stream=True))
        assert [c.message.content for c in chunks[:-1]] == [
            "one ", "two ", "three ", "four ", "five"
        ]  # fmt: skip
        assert chunks[-1].done

    def test_tool_and_json(self, local: ollama.Client) -> None:
        reply = local.chat("llama3.2:3b", messages=ASK, tools=[TOOL])
        assert reply.message.tool_calls[0].function.arguments == {"city": "Paris"}
        reply = local.chat("llama3.2:3b", messages=ASK, format=PARAMETERS)
        assert json.loads(reply.message.content) == {"city": "Paris"}

    def test_embed_and_side_requests(self, local: ollama.Client, server: ChaosServer) -> None:
        assert len(local.embed("llama3.2:3b", input=["a", "b"]).embeddings) == 2
        assert local.list().models[0].model == "llama3.2:3b"
        assert "tools" in local.show("llama3.2:3b").capabilities
        assert local.ps().models[0].context_length == 4096
        statuses = [each.status for each in local.pull("new-one", stream=True)]
        assert statuses[0] == "pulling manifest"
        assert statuses[-1] == "success"
        assert local.chat("new-one", messages=ASK).message.content == TEXT
        assert server.hits("local") == 2
        assert server.counters("local").probes == 4


def test_lifecycle_dates_are_where_each_provider_puts_them(http: httpx.Client) -> None:
    models = [HostedModel("a", "openai", "2027-01-14"), HostedModel("b", "anthropic", "2020-01-01")]
    with ChaosServer(hosted=models) as server:
        listed = http.get(f"{server.url}/v1/models").json()["data"]
        assert listed[0]["shutdown_date"] == "2027-01-14"
        headers = {"anthropic-version": "2023-06-01"}
        entry = http.get(f"{server.url}/v1/models/b", headers=headers).json()
        assert (entry["lifecycle"], entry["retires_at"]) == ("retired", "2020-01-01T00:00:00Z")
        assert http.get(f"{server.url}/v1/models/zz").status_code == 404
