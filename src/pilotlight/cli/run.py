"""`pilotlight run`: any program, with a gateway of its own for as long as it runs."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pilotlight.app import Pilotlight
    from pilotlight.events import Event

_NOT_FOUND, _NOT_RUNNABLE = 127, 126  # as a shell has it
_BY_SIGNAL = 128


@click.command(
    "run",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    short_help="Run a program with its model calls on a route.",
)
@click.option("--route", "name", metavar="NAME", help="The route; not needed for the only one.")
@click.option("--private", is_flag=True, help="Its calls go to local targets only.")
@click.argument("command_line", nargs=-1, required=True, type=click.UNPROCESSED, metavar="CMD...")
@click.pass_obj
def command(
    config: Path | None, name: str | None, private: bool, command_line: tuple[str, ...]
) -> None:
    """Run CMD, in whatever language, with its model calls on a route.

    A gateway listens on loopback while CMD runs, and the variables that SDKs read name it
    (`pilotlight run -- env` shows them). Whatever model CMD asks for, the route answers.
    """
    from pilotlight.cli.looking.setting import open_config, the_route
    from pilotlight.cli.serve import need_server

    need_server()
    app = open_config(config)
    route = the_route(app, name).name
    with app, _counting() as tally, _serving(app, route, private=private) as (port, key):
        code = _run(command_line, port, key)
    _sum_up(tally)
    sys.exit(code)


def _run(command_line: tuple[str, ...], port: int, key: str) -> int:
    """Run the program to its end, with its signals; return its exit code."""
    import os

    from pilotlight.cli.screen import complain
    from pilotlight.doors.gateway.environment import environment_for

    with _passing_on() as begun:
        try:
            child = subprocess.Popen(  # noqa: S603 - it is what the user has asked for
                command_line, env=environment_for(os.environ, port, key)
            )
        except FileNotFoundError:
            complain(f"{command_line[0]}: no such program")
            return _NOT_FOUND
        except OSError as error:
            complain(f"{command_line[0]}: can't be run: {error.strerror}")
            return _NOT_RUNNABLE
        begun(child)
        code = child.wait()
    return code if code >= 0 else _BY_SIGNAL - code


@contextmanager
def _passing_on() -> Iterator[Callable[[subprocess.Popen[bytes]], None]]:
    """Pass signals on to the program, once it is given; those that came before it as well.

    Ctrl-C reaches both of us by the terminal.  It is caught and not ignored: what is ignored
    here would be ignored by the program too.
    """
    early: list[int] = []
    children: list[subprocess.Popen[bytes]] = []

    def pass_on(sig: int, _frame: object) -> None:
        if children:
            children[0].send_signal(sig)
        else:
            early.append(sig)

    def begun(child: subprocess.Popen[bytes]) -> None:
        children.append(child)
        for sig in early:
            child.send_signal(sig)

    def leave(_sig: int, _frame: object) -> None:
        pass

    ours: dict[int, Callable[[int, Any], None]] = {
        **dict.fromkeys((signal.SIGINT, signal.SIGQUIT), leave),
        **dict.fromkeys((signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2), pass_on),
    }
    before = {each: signal.signal(each, what) for each, what in ours.items()}
    try:
        yield begun
    finally:
        for each, what in before.items():
            signal.signal(each, what)


@contextmanager
def _serving(app: Pilotlight, route: str, *, private: bool) -> Iterator[tuple[int, str]]:
    """Have a gateway listen in a thread; give its port, and the key that it takes."""
    from pilotlight.doors.gateway.access import Access
    from pilotlight.doors.gateway.gateway import Gateway
    from pilotlight.doors.gateway.keys import Key, KeyRing, digest, new_secret
    from pilotlight.doors.gateway.server import Server, listen

    secret = new_secret()
    ring = KeyRing(keys={"run": Key(sha256=digest(secret), private=private, operator=True)})
    gateway = Gateway(app, Access(ring), more_names={"*": route})
    bound = listen("127.0.0.1", 0)
    begun = threading.Event()
    server = Server(gateway, listening=begun.set)
    thread = threading.Thread(target=server.run, args=([bound],), name="pilotlight-run")
    thread.start()
    try:
        begun.wait()
        yield bound.getsockname()[1], secret
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def _counting() -> Iterator[dict[str, Any]]:
    """Count the calls that end meanwhile."""
    from pilotlight import events
    from pilotlight.records.prices import PriceMap

    tally: dict[str, Any] = {"calls": 0, "over": 0, "failed": 0, "cost": 0.0, "unpriced": 0}
    prices, lock = PriceMap(), threading.Lock()

    def count(event: Event) -> None:
        if not isinstance(event, events.CallEnded):
            return
        receipt = event.receipt
        with lock:
            tally["calls"] += 1
            tally["over"] += receipt.failed_over
            tally["failed"] += receipt.served_by is None
            for each in receipt.attempts:
                asked, said = each.prompt_tokens, each.completion_tokens
                if asked is None or said is None:
                    continue
                cost = prices(each.model, asked, said) if each.cost is None else each.cost
                tally["cost"] += cost or 0.0
                tally["unpriced"] += cost is None

    events.listeners.append(count)
    try:
        yield tally
    finally:
        events.listeners.remove(count)


def _sum_up(tally: Mapping[str, Any]) -> None:
    from pilotlight.cli.screen import remark

    calls = f"{tally['calls']} call{'' if tally['calls'] == 1 else 's'}"
    told = [calls, f"{tally['over']} failed over"]
    if tally["failed"]:
        told.append(f"{tally['failed']} not answered")
    more = f" and {tally['unpriced']} without a known price" if tally["unpriced"] else ""
    told.append(f"${tally['cost']:.4f}{more}")
    remark(f"pilotlight: {', '.join(told)}")
