"""A house and the world outside it: both on loopback, and what each has been told."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "zebraquartz4711"
AT_HOME = "llama3.2"
STUB = "ollama/innocent"  # a local name whose model the server runs elsewhere
ELSEWHERE = ("gpt-oss:120b-cloud", "kimi:Cloud", STUB)


@dataclass
class Server:
    """Answers as Ollama and as OpenAI do; `left` is what it was told of the secret, by model."""

    left: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["content-length"])).decode()
            asked = json.loads(text)
            if SECRET in text:
                server.left.append(asked.get("model"))
            kind = "text/event-stream" if "completions" in self.path else "application/x-ndjson"
            self._say(_reply(self.path, asked), kind if asked.get("stream") else "application/json")

        def _say(self, body: str, kind: str) -> None:
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


def _reply(path: str, asked: dict[str, Any]) -> str:
    model = asked.get("model", "")
    if path == "/api/show":
        remote = {"remote_host": "https://ollama.com", "remote_model": model}
        return json.dumps({"model_info": {}, **(remote if model in ELSEWHERE else {})})
    if path == "/api/embed":
        vectors = [[0.1, 0.2] for _ in asked["input"]]
        return json.dumps({"model": model, "embeddings": vectors})
    said = '{"name": "Ada"}'
    if path == "/api/chat":
        word = {"role": "assistant", "content": said}
        return json.dumps({"model": model, "message": word, "done": True, "done_reason": "stop"})
    if path.endswith("/embeddings"):
        data = [{"index": 0, "embedding": [0.1, 0.2], "object": "embedding"}]
        return json.dumps({"model": model, "data": data, "object": "list"})
    choice = {"index": 0, "finish_reason": "stop"}
    if asked.get("stream"):
        delta = {"role": "assistant", "content": said}
        chunk = {"id": "1", "object": "chat.completion.chunk", "model": model, "created": 1}
        return f"data: {json.dumps({**chunk, 'choices': [{**choice, 'delta': delta}]})}\n\ndata: [DONE]\n\n"
    whole = {"id": "1", "object": "chat.completion", "model": model, "created": 1}
    message = {"role": "assistant", "content": said}
    return json.dumps({**whole, "choices": [{**choice, "message": message}]})
