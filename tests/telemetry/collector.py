"""A collector on loopback that answers, refuses, or never answers; and processes that use it."""

from __future__ import annotations

import gzip
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATIENCE = 60.0

ROUTE = """
import os, sys
import pilotlight
from pilotlight.vocabulary.faults import Fault
from pilotlight.routes.route import Route
from pilotlight.testing import FakeClock, ScriptedTarget

def call(name):
    clock = FakeClock()
    targets = ScriptedTarget("a", Fault.TIMEOUT, clock=clock), ScriptedTarget("b", clock=clock)
    return Route(name, targets, clock=clock).complete([{"role": "user", "content": "hi"}]).text
"""


def run(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script that may use `call`, in a process of its own."""
    import os

    kept = {k: v for k, v in os.environ.items() if k != "PILOTLIGHT_TELEMETRY"}
    return subprocess.run(
        [sys.executable, "-c", ROUTE + code, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=kept | environment,
    )


class Collector:
    """Takes OTLP over HTTP; `mode` is `takes`, `refuses` or `hangs`."""

    def __init__(self, mode: str = "takes") -> None:
        self.mode = mode
        self.let_go = threading.Event()
        self.spans: dict[str, Any] = {}
        self.metrics: set[str] = set()
        self.asked = 0
        self._arrived = threading.Condition()
        handler = type("Handler", (_Handler,), {"collector": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Collector:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go.set()
        self._server.shutdown()
        self._thread.join(PATIENCE)
        self._server.server_close()

    def take(self, path: str, body: bytes) -> None:
        from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

        with self._arrived:
            if path == "/v1/traces":
                for resource in traces.ExportTraceServiceRequest.FromString(body).resource_spans:
                    for scope in resource.scope_spans:
                        self.spans |= {span.name: resource.resource for span in scope.spans}
            else:
                found = metrics.ExportMetricsServiceRequest.FromString(body).resource_metrics
                self.metrics |= {m.name for r in found for s in r.scope_metrics for m in s.metrics}
            self._arrived.notify_all()

    def wait_for(self, span: str) -> bool:
        with self._arrived:
            return self._arrived.wait_for(lambda: span in self.spans, PATIENCE)


class _Handler(BaseHTTPRequestHandler):
    collector: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.collector.asked += 1
        if self.collector.mode == "hangs":
            self.collector.let_go.wait(PATIENCE)
        if self.collector.mode == "takes":
            self.collector.take(self.path, body)
        self._answer(200 if self.collector.mode == "takes" else 503)

    def do_GET(self) -> None:
        """Answers when the span named by the path has arrived."""
        from urllib.parse import unquote

        self._answer(200 if self.collector.wait_for(unquote(self.path[1:])) else 504)

    def _answer(self, status: int) -> None:
        try:
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()
        except OSError:
            pass  # whoever asked has gone

    def log_message(self, *_: object) -> None:
        """Say nothing."""
