"""The command line: `pilotlight-chaos serve`, `proxy` and `kinds`."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import signal
import threading
from collections.abc import Sequence

from .faults import DIALECTS, KINDS, TCP, FaultError, parameters
from .models import LOCAL_MODELS
from .proxy import TcpProxy
from .proxy_control import ProxyControl
from .server import ChaosServer

HELP = """\
pilotlight-chaos on {url}

  OpenAI, Mistral, Groq ...   {url}/p/primary/v1
  Anthropic                   {url}/p/secondary
  Gemini                      {url}/p/third/v1beta
  Ollama                      {url}/p/local          (any name will do, or none)

  curl {url}/__control/fault -d '{{"name": "primary", "kind": "rate_limit", "retry_after": 30}}'
  curl {url}/__control/heal -d '{{}}'
  curl {url}/__control                 state and counters
  curl {url}/__control/kinds           the faults, with their parameters

Ctrl-C stops it."""


PROXY_HELP = """\
pilotlight-chaos proxy on {url}, before {upstream}

  curl {control}/fault -d '{{"kind": "slow", "seconds": 2, "jitter": 0.5}}'
  curl {control}/heal -d '{{}}'
  curl {control}                 faults, connections, bytes

Ctrl-C stops it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    options = _parser().parse_args(argv)
    if options.command == "kinds":
        print(_kinds())
        return 0
    return _proxy(options) if options.command == "proxy" else _serve(options)


def _serve(options: argparse.Namespace) -> int:
    server = ChaosServer(
        port=options.port,
        models=options.model,
        reply=options.reply,
        latency=options.latency,
        token_latency=options.token_latency,
        strict=options.strict,
        seed=options.seed,
    )
    try:
        server.start()
    except OSError as error:
        print(f"cannot listen on port {options.port}: {error.strerror or error}")
        return 1
    with contextlib.closing(server):  # `with server` would start it again
        print(HELP.format(url=server.url), flush=True)
        _wait_for_signal()
    return 0


def _proxy(options: argparse.Namespace) -> int:
    try:
        host, port = _endpoint(options.upstream)
        proxy = TcpProxy(host, port, port=options.listen, seed=options.seed)
        for text in options.fault or ():
            kind, params = _fault(text)
            proxy.fault(kind, add=True, **params)
        proxy.start()
    except FaultError as error:
        print(error)
        return 2
    except OSError as error:
        print(f"cannot listen on port {options.listen}: {error.strerror or error}")
        return 1
    with contextlib.closing(proxy), ProxyControl(proxy, options.control) as control:
        told = PROXY_HELP.format(url=proxy.url, upstream=options.upstream, control=control.url)
        print(told, flush=True)
        _wait_for_signal()
    return 0


def _endpoint(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise FaultError(f"--upstream is HOST:PORT, such as 127.0.0.1:11434, not {text!r}")
    return host.strip("[]"), int(port)


def _fault(text: str) -> tuple[str, dict[str, object]]:
    """Read a fault as it stands on the command line: its kind, then name=value, values as JSON."""
    kind, *pairs = text.split()
    params: dict[str, object] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        try:
            params[name] = json.loads(value)
        except ValueError:
            raise FaultError(f"--fault {text!r}: {pair!r} is not name=value") from None
    return kind, params


def _seconds(text: str) -> float:
    """Read a number of seconds; argparse words the refusal."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no finite number of seconds from 0")
    return seconds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pilotlight-chaos", description="Play model providers on loopback, and their faults."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="run the server until Ctrl-C")
    serve.add_argument("--port", type=int, default=8931, help="0 picks a free one (8931)")
    serve.add_argument(
        "--model",
        action="append",
        metavar="NAME",
        help=f"an installed Ollama model; may be repeated ({LOCAL_MODELS[0].name})",
    )
    serve.add_argument("--reply", help="answer every request with this text")
    serve.add_argument("--latency", type=_seconds, default=0.3, help="seconds to an answer (0.3)")
    serve.add_argument(
        "--token-latency", type=_seconds, default=0.03, help="seconds a token of it (0.03)"
    )
    serve.add_argument(
        "--strict", action="store_true", help="refuse what the real API would refuse in a request"
    )
    serve.add_argument("--seed", type=int, default=0, help="of the dice for fault rates (0)")
    proxy = commands.add_parser("proxy", help="break the connections to a real endpoint")
    proxy.add_argument("--upstream", required=True, metavar="HOST:PORT", help="127.0.0.1:11434")
    proxy.add_argument("--listen", type=int, default=0, metavar="PORT", help="0 picks one (0)")
    proxy.add_argument("--control", type=int, default=0, metavar="PORT", help="0 picks one (0)")
    proxy.add_argument(
        "--fault",
        action="append",
        metavar="'KIND NAME=VALUE ...'",
        help="from the start, such as 'slow seconds=2 jitter=0.5'; may be repeated",
    )
    proxy.add_argument("--seed", type=int, default=0, help="of the dice for fault rates (0)")
    commands.add_parser("kinds", help="list the faults")
    return parser


def _kinds() -> str:
    lines = []
    for kind in KINDS.values():
        params = ", ".join(f"{name}={value}" for name, value in parameters(kind.name).items())
        who = "" if kind.dialects >= set(DIALECTS) else f" [{', '.join(sorted(kind.dialects))}]"
        who += " (proxy too)" if TCP in kind.dialects else ""
        lines.append(f"{kind.name:16} {kind.what}{who}\n{'':16} {params}")
    return "\n".join(lines)


def _wait_for_signal() -> None:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
