"""The command line: `pilotlight-chaos serve`."""

from __future__ import annotations

import argparse
import contextlib
import signal
import threading
from collections.abc import Sequence

from .faults import KINDS, parameters
from .models import LOCAL_MODELS
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    options = _parser().parse_args(argv)
    if options.command == "kinds":
        print(_kinds())
        return 0
    server = ChaosServer(
        port=options.port,
        models=options.model,
        reply=options.reply,
        latency=options.latency,
        token_latency=options.token_latency,
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
    serve.add_argument("--latency", type=float, default=0.3, help="seconds to an answer (0.3)")
    serve.add_argument(
        "--token-latency", type=float, default=0.03, help="seconds a token of it (0.03)"
    )
    serve.add_argument("--seed", type=int, default=0, help="of the dice for fault rates (0)")
    commands.add_parser("kinds", help="list the faults")
    return parser


def _kinds() -> str:
    lines = []
    for kind in KINDS.values():
        params = ", ".join(f"{name}={value}" for name, value in parameters(kind.name).items())
        who = "" if len(kind.dialects) == 4 else f" [{', '.join(sorted(kind.dialects))}]"
        lines.append(f"{kind.name:16} {kind.what}{who}\n{'':16} {params}")
    return "\n".join(lines)


def _wait_for_signal() -> None:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
