"""This process's own delays are nobody's failure: not a blocked loop's, not a late request's."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from types import SimpleNamespace

import pytest
from ways import HELLO, by_client

from pilotlight import AllTargetsFailed, failover, load
from pilotlight.health.checks import check_target
from pilotlight.health.verdict import apply
from pilotlight.wire import tap
from pilotlight.wire.pool import Pool

PATIENCE = 30.0
JUMP = 5.0
BODIES = {
    ("openai", False): json.dumps(
        {
            "id": "1",
            "object": "chat.completion",
            "model": "gpt-4o",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": "hi"},
                    "finish_reason": "stop",
                }
            ],
        }
    ),
    ("openai", True): 'data: {"id":"1","choices":[{"index":0,"delta":{"content":"hi"},'
    '"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
    ("ollama", False): '{"model":"m","message":{"role":"assistant","content":"hi"},"done":true}',
    ("ollama", True): '{"model":"m","message":{"role":"assistant","content":"hi"},"done":false}\n'
    '{"model":"m","message":{"role":"assistant","content":""},"done":true,'
    '"done_reason":"stop"}\n',
}
KINDS = {True: "text/event-stream", False: "application/json"}


class Server:
    """Reads requests and answers each in one piece, or never; tells when it has."""

    def __init__(self, *, answers: bool) -> None:
        self.answers = answers
        self.done = threading.Semaphore(0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        stream = connection.makefile("rb")
        while request := stream.readline():
            length = 0
            while (line := stream.readline()).strip():
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            said = json.loads(stream.read(length) or b"{}")
            if self.answers:
                wire = "ollama" if b"/api/" in request else "openai"
                streamed = bool(said.get("stream"))
                body = BODIES[wire, streamed].encode()
                kind = "application/x-ndjson" if wire == "ollama" and streamed else KINDS[streamed]
                head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n"
                head += f"content-length: {len(body)}\r\n\r\n"
                connection.sendall(head.encode() + body)
            self.done.release()

    def wait(self, calls: int) -> None:
        """Block, as bad code blocks an event loop, until so many requests have been dealt with."""
        for _ in range(calls):
            assert self.done.acquire(timeout=PATIENCE)

    def close(self) -> None:
        self._listener.close()
        for connection in self._open:
            connection.close()


class Jumping:
    """The machine's clock, which can be made to jump: for whoever was suspended or blocked."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead

    def jump(self, seconds: float = JUMP) -> None:
        self.ahead += seconds


@pytest.fixture
def now(monkeypatch):
    clock = Jumping()
    monkeypatch.setattr(tap, "time", SimpleNamespace(monotonic=clock))
    return clock


@pytest.fixture
def served():
    made = []

    def serve(answers: bool) -> Server:
        made.append(Server(answers=answers))
        return made[-1]

    yield serve
    for server in made:
        server.close()


def app_of(server: Server, wire: str, spare: Server | None = None, **limits):
    def target(where: Server):
        made = {
            "openai": {"model": "openai/gpt-4o", "api_base": f"{where.url}/v1", "api_key": "k"},
            "ollama": {"model": "ollama/m", "api_base": where.url},
        }
        return made[wire]

    limits = {"total": 2.0, "first_token": 1.5, **limits}
    targets = {"a": {**target(server), "timeout": limits, "retry": {"max_retries": 0}}}
    if spare is not None:
        targets["b"] = target(spare)
    return load({"targets": targets, "routes": {"chat": {"targets": list(targets)}}})


def run(main, now: Jumping):
    def loop() -> asyncio.AbstractEventLoop:
        made = asyncio.new_event_loop()
        made.time = now
        return made

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(main())


def counted(app) -> int:
    return app.target("a").health.breaker.state.window.failures


async def text_of(route, shape: str) -> str:
    if shape == "acomplete":
        return (await route.acomplete(HELLO)).text
    return "".join([c.choices[0].delta.content or "" async for c in route.astream(HELLO)])


@pytest.mark.parametrize("answers", [True, False])
@pytest.mark.parametrize("wire", ["openai", "ollama"])
@pytest.mark.parametrize("shape", ["acomplete", "astream"])
def test_a_blocked_loop(served, now, shape, wire, answers):
    server = served(answers)
    app = app_of(server, wire)
    route = app.route("chat")

    async def main():
        calls = [asyncio.create_task(text_of(route, shape)) for _ in range(4)]
        written = 0
        while written < 4:  # each request is on its way; then the loop is blocked
            await asyncio.sleep(0)
            written += server.done.acquire(blocking=False)
        now.jump()
        return await asyncio.gather(*calls, return_exceptions=True)

    outcomes = run(main, now)
    if answers:
        assert outcomes == ["hi"] * 4
        assert counted(app) == 0
    else:
        assert {type(each) for each in outcomes} == {AllTargetsFailed}
        assert {a.fault for each in outcomes for a in each.receipt.attempts} == {"timeout"}
        assert counted(app) == 4  # nothing came: that is true silence


@pytest.mark.parametrize("wire", ["openai", "ollama"])
@pytest.mark.parametrize("shape", ["complete", "acomplete", "stream", "astream"])
def test_a_request_that_was_never_written(served, now, monkeypatch, shape, wire):
    app = app_of(served(True), wire, spare=served(True))
    late = iter([JUMP])

    def slow(method):
        def connections(pool):
            now.jump(next(late, 0.0))
            return method(pool)

        return connections

    for name in ("connections", "aconnections"):
        monkeypatch.setattr(Pool, name, slow(getattr(Pool, name)))
    assert by_client(shape, app.route("chat")) == "hi"
    health = app.target("a").health
    assert counted(app) == 0
    assert health.breaker.state.window.calls == 0


@pytest.mark.parametrize("answers", [True, False])
@pytest.mark.parametrize("shape", ["acomplete", "astream"])
def test_a_blocked_loop_under_a_decorated_function(served, now, shape, answers):
    server = served(answers)
    app = app_of(server, "openai")
    body = {"model": "gpt-4o", "messages": HELLO}

    @failover(app.route("chat"))
    async def say(*, target):
        reply = await target.ahttp_client().post(f"{target.api_base}/chat/completions", json=body)
        return reply.json()["choices"][0]["message"]["content"]

    @failover(app.route("chat"))
    async def tell(*, target):
        reply = await target.ahttp_client().post(f"{target.api_base}/chat/completions", json=body)
        yield reply.json()["choices"][0]["message"]["content"]

    async def collected():
        return "".join([item async for item in tell()])

    async def main():
        call = asyncio.create_task(say() if shape == "acomplete" else collected())
        while not server.done.acquire(blocking=False):
            await asyncio.sleep(0)
        now.jump()
        return (await asyncio.gather(call, return_exceptions=True))[0]

    outcome = run(main, now)
    if answers:
        assert outcome == "hi"
        assert counted(app) == 0
    else:
        assert [a.fault for a in outcome.receipt.attempts] == ["timeout"]
        assert counted(app) == 1


def test_a_slow_loop_is_no_slow_provider(served, now):
    server = served(True)
    app = app_of(server, "openai", total=60.0)
    app.target("a").health.breaker.configure(
        type(app.target("a").health.breaker.policy)(slow_call_duration=1.0, minimum_calls=1)
    )

    async def main():
        call = asyncio.create_task(app.route("chat").acomplete(HELLO))
        while not server.done.acquire(blocking=False):
            await asyncio.sleep(0)
        now.jump()
        return await call

    app.route("chat")
    object.__setattr__(app.route("chat"), "clock", now)
    assert run(main, now).text == "hi"
    assert app.target("a").health.breaker.current_state == "closed"


@pytest.mark.parametrize("model", ["ollama/m", "openai/gpt-4o"])
def test_a_check_that_this_process_had_no_time_for_opens_nothing(served, now, monkeypatch, model):
    base_url = served(True).url + ("/v1" if "openai" in model else "")
    target = {"model": model, "api_base": base_url, "api_key": "k", "health": "on"}
    app = load({"targets": {"a": target}})
    before = app.target("a").health.lacks
    connections = Pool.connections

    def late(pool):
        now.jump(60.0)
        return connections(pool)

    monkeypatch.setattr(Pool, "connections", late)
    check = check_target(app.target("a"))
    assert (check.state, check.starved) == ("unreachable", True)
    apply([app.target("a")], check)
    health = app.target("a").health
    assert health.breaker.current_state == "closed"
    assert (health.check, health.lacks) == (None, before)
