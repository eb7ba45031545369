"""What an Ollama says in HTTP, without pilotlight in between.

Long, because each fact that pilotlight relies on is a test of its own.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from .ollama import USER, Ollama

COUNTS = ("total_duration", "load_duration", "prompt_eval_count", "eval_count")
NDJSON = "application/x-ndjson"
JSON = "application/json; charset=utf-8"
MANY = [{"role": "user", "content": f"{number}: " + "words and more " * 60} for number in range(40)]


class TestTheServer:
    def test_its_root_says_what_it_is(self, server: Ollama):
        assert server.http.get(server.base + "/").text == "Ollama is running"
        assert server.http.head(server.base + "/").content == b""

    @pytest.mark.parametrize(
        ("method", "path", "status", "text"),
        [
            ("GET", "/api/nothing", 404, "404 page not found"),
            ("GET", "/api/chat", 405, "405 method not allowed"),
            ("POST", "/api/tags", 405, "405 method not allowed"),
        ],
    )
    def test_wrong_paths_are_told_in_plain_text(self, server, method, path, status, text):
        said = server.http.request(method, server.base + path)
        assert (said.status_code, said.text) == (status, text)
        assert said.headers["content-type"].startswith("text/plain")

    def test_version(self, server: Ollama):
        assert re.match(r"\d+\.\d+\.\d+", server.get("/api/version")["version"])

    def test_status(self, server: Ollama):
        assert isinstance(server.get("/api/status")["cloud"]["disabled"], bool)


class TestTheModel:
    def test_tags(self, server: Ollama):
        entry = server.installed()
        assert entry["model"] == entry["name"] == server.full_name
        assert re.fullmatch(r"[0-9a-f]{64}", entry["digest"])
        assert entry["size"] > 0
        assert entry["details"]["format"] in ("gguf", "safetensors")
        assert {"family", "families", "parameter_size", "quantization_level"} <= set(
            entry["details"]
        )
        assert "remote_host" not in entry
        assert "remote_model" not in entry

    def test_show(self, server: Ollama):
        shown = server.shown()
        info = shown["model_info"]
        assert info[f"{info['general.architecture']}.context_length"] >= 512
        assert "completion" in shown["capabilities"]
        assert shown["details"]["family"] == server.installed()["details"]["family"]
        assert "remote_host" not in shown

    def test_show_takes_the_old_field_as_well(self, server: Ollama):
        assert server.post("/api/show", {"name": server.model}).status_code == 200

    def test_a_name_is_the_same_in_any_case_and_is_echoed_as_sent(self, server: Ollama):
        loud = server.model.upper()
        assert server.chat(model=loud)["model"] == loud

    def test_looking_loads_nothing(self, server: Ollama):
        for path in ("/api/version", "/api/tags", "/api/status", "/v1/models"):
            server.get(path)
        server.shown()
        assert server.running() is None


class TestLoading:
    def test_a_chat_without_messages_loads(self, server: Ollama):
        said = server.post("/api/chat", {"model": server.model})
        assert said.headers["content-type"] == JSON
        assert said.json().pop("created_at")
        assert {k: v for k, v in said.json().items() if k != "created_at"} == {
            "model": server.model,
            "message": {"role": "assistant", "content": ""},
            "done": True,
            "done_reason": "load",
        }
        assert server.running() is not None

    def test_so_does_a_prompt_of_nothing(self, server: Ollama):
        said = server.post("/api/generate", {"model": server.model}).json()
        assert (said["response"], said["done"], said["done_reason"]) == ("", True, "load")
        assert server.running() is not None

    def test_what_is_loaded_is_listed(self, server: Ollama):
        server.chat(num_ctx=1024)
        entry = server.running()
        assert entry["context_length"] == 1024
        assert entry["digest"] == server.installed()["digest"]
        assert 0 <= entry["size_vram"] <= entry["size"]
        assert entry["expires_at"] > "2020"

    @pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
    def test_keep_alive_of_nothing_unloads(self, server: Ollama, path):
        server.chat()
        said = server.post(path, {"model": server.model, "keep_alive": 0})
        assert (said.json()["done"], said.json()["done_reason"]) == (True, "unload")
        server.unload()  # which waits until it is gone
        assert server.running() is None

    def test_and_is_no_error_where_nothing_is_loaded(self, server: Ollama):
        said = server.post("/api/chat", {"model": server.model, "keep_alive": 0})
        assert (said.status_code, said.json()["done_reason"]) == (200, "unload")

    def test_an_answer_with_a_keep_alive_of_nothing_is_the_last(self, server: Ollama):
        assert server.chat(keep_alive=0)["done"] is True
        server.unload()
        assert server.running() is None

    def test_forever_is_some_centuries_and_sticks(self, server: Ollama):
        server.chat(keep_alive=-1)
        assert server.running()["expires_at"] > "2200"
        server.chat()
        assert server.running()["expires_at"] > "2200"

    def test_another_context_loads_again(self, server: Ollama):
        server.chat(num_ctx=512)
        assert server.running()["context_length"] == 512
        server.chat(num_ctx=1024)
        assert server.running()["context_length"] == 1024

    def test_no_context_is_more_than_the_model_was_made_for(self, server: Ollama):
        info = server.shown()["model_info"]
        trained = info[f"{info['general.architecture']}.context_length"]
        if trained > 16_384:
            pytest.skip("so large a context would not fit into a small machine")
        server.chat(num_ctx=trained * 2)
        assert server.running()["context_length"] == trained

    @pytest.mark.parametrize("changed", [{"shift": False}, {"options": {"num_thread": 1}}])
    def test_what_is_decided_at_load_time_loads_again(self, server: Ollama, changed):
        """The options that a call leaves out are the defaults, not what is loaded."""
        server.post("/api/chat", {"model": server.model, "keep_alive": -1})
        first = server.running()["expires_at"]
        server.post("/api/chat", {"model": server.model} | changed).raise_for_status()
        assert server.running()["expires_at"] < first  # a new runner, with the usual keep_alive

    @pytest.mark.parametrize(
        "same", [{}, {"options": {"temperature": 0.1}}, {"shift": True}, {"options": {"seed": 3}}]
    )
    def test_what_is_not_does_not(self, server: Ollama, same):
        server.post("/api/chat", {"model": server.model, "keep_alive": -1})
        server.post("/api/chat", {"model": server.model} | same).raise_for_status()
        assert server.running()["expires_at"] > "2200"


class TestAnswers:
    def test_whole(self, server: Ollama):
        said = server.chat(num_predict=4)
        assert said["message"]["role"] == "assistant"
        assert said["message"]["content"] or said["message"]["thinking"]
        assert (said["done"], said["done_reason"], said["eval_count"]) == (True, "length", 4)
        assert all(isinstance(said[name], int) and said[name] > 0 for name in COUNTS)

    def test_stream(self, server: Ollama):
        body = {"model": server.model, "messages": USER, "options": {"num_predict": 4}}
        with server.http.stream("POST", server.base + "/api/chat", json=body) as response:
            assert response.headers["content-type"] == NDJSON
            assert response.headers["transfer-encoding"] == "chunked"
            lines = b"".join(response.iter_raw()).splitlines(keepends=True)
        assert all(line.endswith(b"\n") and line.strip() for line in lines)
        *chunks, last = [json.loads(line) for line in lines]
        assert chunks
        for chunk in chunks:
            assert chunk["model"] == server.model
            assert chunk["message"]["role"] == "assistant"
            assert chunk["done"] is False
            assert "done_reason" not in chunk
            assert not set(COUNTS) & set(chunk)
        assert (last["done"], last["done_reason"], last["eval_count"]) == (True, "length", 4)
        assert all(last[name] > 0 for name in COUNTS)

    def test_generate_says_it_in_another_field(self, server: Ollama):
        body = {"model": server.model, "prompt": "Hello", "options": {"num_predict": 4}}
        *chunks, last = server.objects("/api/generate", body)
        assert all("message" not in chunk for chunk in (*chunks, last))
        assert "".join(each.get("response", "") + each.get("thinking", "") for each in chunks)
        assert last["done_reason"] == "length"
        assert all(isinstance(token, int) for token in last["context"])

    def test_no_answer_says_remote(self, server: Ollama):
        assert not {"remote_host", "remote_model"} & set(server.chat())


class TestTooLongAPrompt:
    def test_is_cut_without_a_word(self, server: Ollama):
        said = server.chat(num_ctx=1024, messages=MANY)
        assert said["done"] is True
        assert 0 < said["prompt_eval_count"] <= 1024
        assert set(said) <= {*COUNTS, *server.chat()}  # nothing that another answer has not

    def test_unless_that_is_forbidden(self, server: Ollama):
        options = {"num_ctx": 1024, "num_predict": 4}
        body = {"model": server.model, "messages": MANY, "options": options}
        said = server.post("/api/chat", body | {"truncate": False, "shift": False})
        assert said.status_code == 400
        inner = json.loads(said.json()["error"])["error"]  # JSON in a string in JSON
        assert (inner["type"], inner["n_ctx"]) == ("exceed_context_size_error", 1024)
        assert inner["n_prompt_tokens"] > 1024

    @pytest.mark.parametrize("shift", [True, False])
    def test_one_message_that_is_too_long_is_cut_or_refused(self, server: Ollama, shift):
        """Cut in silence if Ollama renders the prompt; refused if the model's own template does."""
        options = {"num_ctx": 1024, "num_predict": 4}
        body = {"model": server.model, "stream": False, "options": options, "shift": shift}
        body["messages"] = [{"role": "user", "content": "words and more " * 2000}]
        said = server.post("/api/chat", body)
        if said.status_code == 200:
            assert shift
            assert 0 < said.json()["prompt_eval_count"] <= 1024
        else:
            assert said.status_code == 400
            assert re.search("context (size|length)", said.json()["error"])


class TestErrors:
    @pytest.mark.parametrize(
        ("path", "body", "status", "text"),
        [
            ("chat", {"model": "zz", "messages": USER}, 404, "model 'zz' not found"),
            ("chat", {"messages": USER}, 400, "model is required"),
            ("chat", {"model": "zz"}, 404, "model 'zz' not found"),
            ("generate", {"model": "zz", "prompt": "x"}, 404, "model 'zz' not found"),
            ("generate", {"prompt": "x"}, 404, "model '' not found"),
            ("embed", {"model": "zz", "input": "x"}, 404, 'model "zz" not found, try pulling it first'),
            ("chat", {"model": "z<z", "messages": USER}, 400, "invalid model name"),
            ("show", {}, 400, "model is required"),
            ("show", {"model": "zz"}, 404, "model 'zz:latest' not found"),
        ],
    )  # fmt: skip
    def test_missing_models(self, server, path, body, status, text):
        said = server.post(f"/api/{path}", body)
        assert (said.status_code, said.json()) == (status, {"error": text})
        assert said.headers["content-type"] == JSON

    def test_deleting_what_is_not_there(self, server: Ollama):
        said = server.http.request(
            "DELETE", f"{server.base}/api/delete", json={"model": "zz-not-here"}
        )
        assert (said.status_code, said.json()) == (
            404,
            {"error": "model 'zz-not-here' not found"},
        )

    @pytest.mark.parametrize(
        ("content", "text"),
        [
            (b"", "missing request body"),
            (b'{"model":', "unexpected EOF"),
            (b"{x}", "invalid character 'x' looking for beginning of object key string"),
            (b'{"model" 1}', "invalid character '1' after object key"),
            (b"[]", "json: cannot unmarshal array into Go value of type api.ChatRequest"),
            (b"?", "invalid character '?' looking for beginning of value"),
        ],
    )
    def test_what_is_no_json(self, server: Ollama, content, text):
        said = server.http.post(server.base + "/api/chat", content=content)
        assert (said.status_code, said.json()) == (400, {"error": text})

    @pytest.mark.parametrize(
        ("more", "status", "text"),
        [
            ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, 400, "json: cannot unmarshal array into Go struct field"),
            ({"think": "x"}, 400, "invalid think value: "),
            ({"keep_alive": "10"}, 400, 'time: missing unit in duration "10"'),
            ({"format": "xml"}, 500, 'invalid format: "\\"xml\\""; expected "json" or a valid JSON'),
            ({"options": {"num_ctx": "x"}}, 500, 'option "num_ctx" must be of type integer'),
            ({"top_logprobs": 21, "logprobs": True}, 400, "top_logprobs must be between 0 and 20"),
        ],
    )  # fmt: skip
    def test_wrong_fields(self, server: Ollama, more, status, text):
        said = server.post("/api/chat", {"model": server.model, "messages": USER} | more)
        assert (said.status_code, said.json()["error"][: len(text)]) == (status, text)

    @pytest.mark.parametrize("need", ["tools", "thinking"])
    def test_abilities_that_it_has_not(self, server: Ollama, need):
        if need in server.shown()["capabilities"]:
            pytest.skip(f"{server.model} has {need}")
        function = {"name": "f", "description": "d", "parameters": {"type": "object"}}
        asked: dict[str, Any] = {
            "tools": {"tools": [{"type": "function", "function": function}]},
            "thinking": {"think": True},
        }
        named = {
            "tools": f"registry.ollama.ai/library/{server.full_name}",
            "thinking": f'"{server.model}"',
        }
        said = server.post("/api/chat", {"model": server.model, "messages": USER} | asked[need])
        assert said.status_code == 400
        assert said.json() == {"error": f"{named[need]} does not support {need}"}


class TestTheOpenAIShape:
    def ask(self, server: Ollama, **more: Any):
        body = {"model": server.model, "messages": USER, "max_tokens": 4}
        return server.post("/v1/chat/completions", body | more)

    def test_whole(self, server: Ollama):
        said = self.ask(server).json()
        assert re.fullmatch(r"chatcmpl-\d+", said["id"])
        assert (said["object"], said["model"]) == ("chat.completion", server.model)
        assert said["system_fingerprint"] == "fp_ollama"
        (choice,) = said["choices"]
        assert (choice["index"], choice["finish_reason"]) == (0, "length")
        assert choice["message"]["role"] == "assistant"
        assert choice["message"]["content"] or choice["message"]["reasoning"]
        usage = said["usage"]
        assert usage["completion_tokens"] == 4
        assert usage["total_tokens"] == 4 + usage["prompt_tokens"]

    def test_stream(self, server: Ollama):
        body = {"model": server.model, "messages": USER, "max_tokens": 4, "stream": True}
        body["stream_options"] = {"include_usage": True}
        text = b"".join(server.lines("/v1/chat/completions", body)).decode()
        *events, done, rest = text.split("\n\n")
        assert (done, rest) == ("data: [DONE]", "")
        first, *more, finish, usage = [json.loads(each.removeprefix("data: ")) for each in events]
        assert first["choices"][0]["delta"]["role"] == "assistant"
        assert first["object"] == "chat.completion.chunk"
        assert all(each["choices"][0]["finish_reason"] is None for each in (first, *more))
        assert finish["choices"][0]["finish_reason"] == "length"
        assert (usage["choices"], usage["usage"]["completion_tokens"]) == ([], 4)

    def test_the_context_cannot_be_set(self, server: Ollama):
        server.chat(num_ctx=512)
        self.ask(server, options={"num_ctx": 512}, num_ctx=512).raise_for_status()
        assert server.running()["context_length"] != 512  # loaded again, with its own default

    @pytest.mark.parametrize(
        ("more", "status", "kind"),
        [
            ({"model": "zz"}, 404, "not_found_error"),
            ({"messages": []}, 400, "invalid_request_error"),
            ({"reasoning_effort": "odd"}, 400, "invalid_request_error"),
        ],
    )
    def test_errors_have_openais_shape(self, server: Ollama, more, status, kind):
        said = self.ask(server, **more)
        error = said.json()["error"]
        assert (said.status_code, error["type"]) == (status, kind)
        assert set(error) == {"message", "type", "param", "code"}
        assert error["message"]

    def test_an_unknown_model_is_told_as_elsewhere(self, server: Ollama):
        assert self.ask(server, model="zz").json()["error"]["message"] == "model 'zz' not found"

    def test_models(self, server: Ollama):
        listed = server.get("/v1/models")
        assert listed["object"] == "list"
        entry = next(each for each in listed["data"] if each["id"] == server.full_name)
        assert (entry["object"], entry["owned_by"]) == ("model", "library")
        assert server.get(f"/v1/models/{server.full_name}") == entry
        assert server.http.get(f"{server.base}/v1/models/zz").status_code == 404
