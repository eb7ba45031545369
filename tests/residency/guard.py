"""What the residency tests watch with: sockets, written words, and a server that quotes."""

from __future__ import annotations

import errno
import ipaddress
import json
import logging
import socket
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

import pilotlight
from pilotlight.core.flow.recorder import receipts
from pilotlight.telemetry import content, environment
from tests.telemetry.spy import Spy

PROMPT = "zebraquartz4711xylophon"
ANSWER = "okapigranite0815kumquat"
KEY = "sk-wombatbasalt2342"
WINDOW = 6  # characters in a row of a marker that nothing may show
MESSAGES = [{"role": "user", "content": f"The patient is {PROMPT}, what now?"}]


# Sockets.


def loopback(host: Any) -> bool:
    text = host.decode() if isinstance(host, bytes) else host
    if text in (None, "localhost"):
        return True
    try:
        return ipaddress.ip_address(text).is_loopback
    except ValueError:
        return False


def literal(host: Any) -> bool:
    try:
        return bool(ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host))
    except ValueError:
        return False


class Guard:
    """Records and refuses whatever would leave this machine; `names` answers look-ups."""

    def __init__(self) -> None:
        self.address_mismatch: list[str] = []
        self.lookups: list[str] = []
        self.names: dict[str, list[str]] = {}

    def refuse(self, what: str) -> None:
        self.address_mismatch.append(what)
        raise OSError(errno.ENETUNREACH, "refused by the test's guard")

    def address(self, sock: socket.socket, address: Any) -> None:
        if sock.family in (socket.AF_INET, socket.AF_INET6) and not loopback(address[0]):
            self.refuse(f"connection to {address}")

    def lookup(self, host: Any) -> None:
        self.lookups.append(str(host))
        if not loopback(host) and not literal(host):  # an address is looked up by nobody
            self.refuse(f"lookup of {host}")


@contextmanager
def watched() -> Iterator[Guard]:
    """Let no connection, datagram or look-up leave this machine unseen."""
    guard = Guard()
    with pytest.MonkeyPatch.context() as patch:
        for name, place in [("connect", 0), ("connect_ex", 0), ("sendto", -1)]:
            patch.setattr(socket.socket, name, _gate(guard, getattr(socket.socket, name), place))
        real = socket.getaddrinfo

        def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
            if host in guard.names:
                guard.lookups.append(host)
                return [r for a in guard.names[host] for r in real(a, port, *args, **kwargs)]
            guard.lookup(host)
            return real(host, port, *args, **kwargs)

        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        for name in ("gethostbyname", "gethostbyname_ex", "gethostbyaddr"):
            patch.setattr(socket, name, _asking(guard, getattr(socket, name)))
        yield guard


def _gate(guard: Guard, real: Any, place: int) -> Any:
    def gate(sock: socket.socket, *args: Any) -> Any:
        guard.address(sock, args[place])
        return real(sock, *args)

    return gate


def _asking(guard: Guard, real: Any) -> Any:
    def asking(host: Any) -> Any:
        guard.lookup(host)
        return real(host)

    return asking


# Words.


@dataclass
class Written:
    """Everything that was written down of the calls inside a block."""

    lines: list[str] = field(default_factory=list)

    def error(self, error: BaseException | None) -> None:
        """Take an error with its notes, its causes, its parts and its receipt."""
        if error is None:
            return
        self.lines += traceback.format_exception(error)
        self.lines += [str(error), repr(error), repr(error.args), *getattr(error, "__notes__", ())]
        for behind in (error.__cause__, error.__context__, *getattr(error, "exceptions", ())):
            self.error(behind)
        if (receipt := getattr(error, "receipt", None)) is not None:
            self.lines.append(json.dumps(receipt.to_dict()))

    def leaks(self, *markers: str) -> list[str]:
        """Return the lines that show a piece of a marker."""
        pieces = {
            marker[start : start + WINDOW]
            for marker in map(str.lower, markers)
            for start in range(len(marker) - WINDOW + 1)
        }
        return [line for line in self.lines if any(piece in line.lower() for piece in pieces)]


class _Handler(logging.Handler):
    def __init__(self, written: Written) -> None:
        super().__init__(logging.DEBUG)
        self.written = written

    def emit(self, record: logging.LogRecord) -> None:
        self.written.lines += [logging.Formatter().format(record), repr(record.args)]


@contextmanager
def writing() -> Iterator[Written]:
    """Collect our log with its tracebacks, the events, the receipts, spans and metrics.

    Spans could hold prompts and answers, for whoever has asked for that: private calls'
    must not even so.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(environment.SWITCH, raising=False)
        patch.setenv(content.VARIABLE, "SPAN_AND_EVENT")
        spy = Spy()
        patch.setattr(environment, "signals", lambda: spy.signals)
        try:
            with _writing() as written:
                yield written
            written.lines += [span.to_json() for span in spy.exporter.get_finished_spans()]
            written.lines += [log.log_record.to_json() for log in spy.details.get_finished_logs()]
            written.lines.append(repr(spy.points()))
        finally:
            spy.close()


@contextmanager
def _writing() -> Iterator[Written]:
    written = Written()
    handler, logger = _Handler(written), logging.getLogger("pilotlight")
    level = logger.level
    note = lambda event: written.lines.append(repr(event))
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    pilotlight.listeners.append(note)
    try:
        with receipts() as log:
            yield written
        written.lines += [json.dumps(receipt.to_dict()) for receipt in log]
    finally:
        pilotlight.listeners.remove(note)
        logger.removeHandler(handler)
        logger.setLevel(level)


# A server that quotes the prompt, in all the places where servers put words.


def _whole(kind: str, words: str) -> tuple[int, str, str]:
    """Return status, content type and body of a reply that quotes."""
    title = f"<html><title>{words}</title><h1>{words}</h1></html>"
    reply = {
        "json500": (500, "application/json", json.dumps({"error": words})),
        "json400": (400, "application/json", json.dumps({"error": {"message": words}})),
        "json404": (404, "application/json", json.dumps({"error": f"model {words!r} not found"})),
        "nested": (500, "application/json", json.dumps({"error": json.dumps({"detail": words})})),
        "text": (503, "text/plain", words),
        "page": (502, "text/html", title),
        "page200": (200, "text/html", title),
        "text200": (200, "text/plain", words),
        "error200": (200, "application/json", json.dumps({"error": words})),
        "array200": (200, "application/json", json.dumps([words])),
        "redirect": (307, "text/plain", words),
    }
    return reply[kind]


QUOTES = (
    "json500", "json400", "json404", "nested", "text", "page", "page200", "text200", "error200",
    "array200", "redirect", "line", "broken",
)  # fmt: skip


class Parrot:
    """An Ollama that fails and quotes prompt and answer; `kind` says how."""

    def __init__(self) -> None:
        parrot = self
        self.kind = "text"
        self.headers: list[dict[str, str]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                parrot.headers.append(dict(self.headers))
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.path.endswith("/api/show"):
                    self.say(200, "application/json", "{}")
                else:
                    self.quote(body.decode())

            def quote(self, body: str) -> None:
                words = f"{ANSWER} could not answer {MESSAGES[0]['content']} with {body}"
                if parrot.kind in ("line", "broken"):
                    end = json.dumps({"error": words}) if parrot.kind == "line" else f'{{"{words}'
                    first = {"model": "m", "message": {"role": "assistant", "content": ANSWER}}
                    lines = f"{json.dumps(first)}\n{end}\n"
                    self.say(200, "application/x-ndjson", lines)
                else:
                    self.say(*_whole(parrot.kind, words))

            def say(self, status: int, kind: str, body: str) -> None:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body.encode())))
                if status == 307:
                    self.send_header("location", "http://elsewhere.example/api/chat")
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()
