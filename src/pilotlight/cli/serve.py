"""`pilotlight serve`: the gateway."""

from __future__ import annotations

import logging
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotlight import extras

if TYPE_CHECKING:
    from pilotlight.config.schema import Config

_FILE = click.Path(exists=True, dir_okay=False)


@click.command("serve")
@click.option("--host", metavar="HOST", help="The address to listen on; by default serve.host.")
@click.option("--port", type=click.IntRange(0, 65535), help="The port; by default serve.port.")
@click.option("--workers", type=click.IntRange(1, 256), default=1, help="Processes; 1 by default.")
@click.option("--keys", metavar="FILE", help="The file of keys; by default serve.keys.")
@click.option("--ssl-certfile", type=_FILE, metavar="FILE", help="TLS: the certificate.")
@click.option("--ssl-keyfile", type=_FILE, metavar="FILE", help="TLS: its key.")
@click.option("--access-log/--no-access-log", default=True, help="A line for each request.")
@click.option("--worker", type=int, hidden=True)
@click.option("--fd", type=int, hidden=True)
@click.option("--shared", type=click.Path(path_type=Path), hidden=True)
@click.pass_obj
def command(config: Path | None, /, **given: Any) -> None:
    """Serve the routes over HTTP, to programs that speak OpenAI, Anthropic, Gemini or Ollama.

    Any SDK of those is pointed at http://HOST:PORT (OpenAI's: http://HOST:PORT/v1); `model` is
    the name of a route. SIGHUP reads the configuration again, SIGTERM lets running calls end.
    """
    from pilotlight.cli.looking.setting import config_path, no_config
    from pilotlight.config.schema import load_config

    need_server()
    path = config_path(config)
    if path is None:
        raise no_config()
    path = path.absolute()
    checked = load_config(path)
    _log(access=given["access_log"])
    given["keys"] = _keys_path(path, checked, given["keys"])
    if given["worker"] is not None:
        _work(path, checked, socket.socket(fileno=given["fd"]), given)
        return
    bound = _bind(checked, given)
    if given["workers"] == 1:
        _work(path, checked, bound, given)
    else:
        sys.exit(_supervise(path, checked, bound, given))


def need_server() -> None:
    """Raise MissingExtra where the extra `serve` is not installed."""
    for module in ("uvicorn", "httptools"):
        extras.need(module, "serve", "the gateway")


def _log(*, access: bool) -> None:
    """Write the gateway's lines, and warnings of every other room, to stderr."""
    from pilotlight.plain import logger

    ours = logger("pilotlight")
    if all(isinstance(each, logging.NullHandler) for each in ours.handlers):
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        ours.addHandler(handler)
    logger("pilotlight.gateway").setLevel(logging.INFO)
    level = logging.INFO if access else logging.WARNING
    logger("pilotlight.gateway.access").setLevel(level)


def _keys_path(path: Path, config: Config, given: str | None) -> Path | None:
    from pilotlight.doors.gateway.keys import keys_path

    return keys_path(config.serve.keys, path.parent) if given is None else Path(given)


def _bind(config: Config, given: dict[str, Any]) -> socket.socket:
    """Return the socket to listen on; raises ConfigError."""
    from pilotlight.doors.gateway.server import listen
    from pilotlight.errors import ConfigError

    host = config.serve.host if given["host"] is None else given["host"]
    port = config.serve.port if given["port"] is None else given["port"]
    try:
        bound = listen(host, port)
    except (OSError, UnicodeError) as error:
        told = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"can't listen on {host}, port {port}: {told}; choose another by --host and --port"
        ) from None
    _refuse_open_door(bound, given)
    return bound


def _refuse_open_door(bound: socket.socket, given: dict[str, Any]) -> None:
    """Refuse to be reached by others where no key is needed; raises ConfigError."""
    from pilotlight.errors import ConfigError
    from pilotlight.privacy.residency import is_loopback

    host = bound.getsockname()[0]
    if given["keys"] is None and not is_loopback(host):
        raise ConfigError(
            f"{host} can be reached by others, and there are no keys: `pilotlight keys add NAME` "
            "makes one; or listen on 127.0.0.1"
        )


def _supervise(path: Path, config: Config, bound: socket.socket, given: dict[str, Any]) -> int:
    from pilotlight.doors.gateway.workers import Workers
    from pilotlight.errors import ConfigError

    if config.telemetry is not None and config.telemetry.prometheus_port is not None:
        raise ConfigError(
            "telemetry.prometheus_port: one port can't be of several workers; leave it out, for "
            "/metrics of the gateway has those of all"
        )
    bound.set_inheritable(True)
    with tempfile.TemporaryDirectory(prefix="pilotlight-") as shared:
        options = [f"--fd={bound.fileno()}", f"--shared={shared}", f"--workers={given['workers']}"]
        options += [
            f"--{name.replace('_', '-')}={given[name]}"
            for name in ("keys", "ssl_certfile", "ssl_keyfile")
            if given[name] is not None
        ]
        options.append("--access-log" if given["access_log"] else "--no-access-log")
        start = [sys.executable, "-m", "pilotlight", f"--config={path}", "serve"]
        workers = Workers(
            given["workers"],
            lambda number: [*start, f"--worker={number}", *options],
            (bound.fileno(),),
            config.serve.grace,
        )
        return workers.run()


def _work(path: Path, config: Config, bound: socket.socket, given: dict[str, Any]) -> None:
    """Be the one process, or one of several."""
    from pilotlight.doors.gateway.access import Access
    from pilotlight.doors.gateway.gateway import Gateway
    from pilotlight.doors.gateway.keys import KeyRing
    from pilotlight.doors.gateway.metrics import Shared
    from pilotlight.doors.gateway.server import Server, ready_app
    from pilotlight.telemetry.setup import show_metrics, show_metrics_anyway

    _refuse_open_door(bound, given)
    show_metrics()
    access = Access(None if given["keys"] is None else KeyRing(given["keys"]))
    app = ready_app(path)
    show_metrics_anyway("pilotlight")
    worker = given["worker"]
    shared = None if given["shared"] is None else Shared(given["shared"], worker)
    tls = {name: given[name] for name in ("ssl_certfile", "ssl_keyfile") if given[name]}
    server = Server(
        Gateway(app, access, shared=shared),
        path,
        tls=tls,
        shared=shared,
        listening=lambda: _announce(bound, config, given, tls=bool(tls)),
        parent=None if worker is None else 0,
    )
    with app:
        server.run([bound])


def _announce(bound: socket.socket, config: Config, given: dict[str, Any], *, tls: bool) -> None:
    if given["worker"]:
        return  # the first one says it for all
    from pilotlight.cli.screen import remark

    host, port = bound.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    routes = ", ".join(config.routes) or "no routes"
    remark(f"serving {routes} on http{'s' if tls else ''}://{shown}:{port}")
