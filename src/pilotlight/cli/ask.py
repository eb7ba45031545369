"""`pilotlight ask`: one question through a route."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotlight.cli.number import Finite

if TYPE_CHECKING:
    from pilotlight.routes.route import Route
    from pilotlight.vocabulary.receipt import Receipt


@click.command("ask")
@click.argument("question")
@click.option(
    "--route", "name", metavar="NAME", help="The route to take; not needed for the only one."
)
@click.option("--private", is_flag=True, help="Ask local targets only: nothing leaves the house.")
@click.option("--json", "as_json", is_flag=True, help="Print {text, receipt} as one JSON document.")
@click.option("--no-stream", is_flag=True, help="Print the answer when it is complete.")
@click.option(
    "--total-timeout",
    type=Finite(min=0, min_open=True),
    metavar="SECONDS",
    help="The time allowed, all targets together.",
)
@click.pass_obj
def command(
    config: Path | None,
    question: str,
    name: str | None,
    private: bool,
    as_json: bool,
    no_stream: bool,
    total_timeout: float | None,
) -> None:
    """Ask a QUESTION (- reads it from stdin) and say on stderr who answered."""
    from pilotlight.cli.screen import remark
    from pilotlight.cli.setting import open_config, the_route
    from pilotlight.cli.words import summary

    messages = [{"role": "user", "content": _question(question)}]
    app = open_config(config)
    click.get_current_context().call_on_close(app.close)
    route = the_route(app, name)
    options: dict[str, Any] = {"private": private or None, "total_timeout": total_timeout}
    if as_json:
        _print_document(route, messages, options)
        return
    receipt = (_whole if no_stream else _stream)(route, messages, options)
    remark(f"{summary(receipt)} · {app.path}")


def _question(given: str) -> str:
    text = sys.stdin.read() if given == "-" else given
    if not text.strip():
        raise click.UsageError("the question is empty")
    return text.strip()


def _whole(route: Route, messages: list[dict[str, str]], options: dict[str, Any]) -> Receipt:
    from pilotlight.cli.screen import print_answer

    with _plainly():
        answer = route.complete(messages, **options)
    print_answer(answer.text)
    return answer.receipt


def _stream(route: Route, messages: list[dict[str, str]], options: dict[str, Any]) -> Receipt:
    from pilotlight.cli.screen import print_answer, remark
    from pilotlight.core.flow.steps import StreamRestarted
    from pilotlight.routes.answer import chunk_text

    begun = False
    with _plainly(), route.stream(messages, **options) as stream:
        try:
            for chunk in stream:
                if isinstance(chunk, StreamRestarted):
                    click.echo()
                    remark(
                        f"{chunk.from_target} broke off ({chunk.fault}); "
                        f"{chunk.to_target} starts anew"
                    )
                elif text := chunk_text(chunk):
                    begun = True
                    print_answer(text, end="")
        finally:
            if begun:
                click.echo()  # what comes next begins on a line of its own
        return stream.receipt


def _print_document(route: Route, messages: list[dict[str, str]], options: dict[str, Any]) -> None:
    """Print one document, for a call that nobody answered as well."""
    from pilotlight.cli.app import FAILED
    from pilotlight.cli.screen import print_json
    from pilotlight.cli.words import message_of
    from pilotlight.errors import AllTargetsFailed, DeadlineExceeded

    try:
        with _plainly():
            answer = route.complete(messages, **options)
    except (AllTargetsFailed, DeadlineExceeded) as error:
        receipt = error.receipt.to_dict() if error.receipt else None
        print_json({"text": None, "receipt": receipt, "error": message_of(error)})
        raise click.exceptions.Exit(FAILED) from None
    print_json({"text": answer.text, "receipt": answer.receipt.to_dict()})


@contextmanager
def _plainly() -> Iterator[None]:
    """Turn an exception of a provider's library, which passes through unchanged, into a line."""
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in _LIBRARIES:
            raise
        raise click.ClickException(_in_a_line(error)) from None


def _in_a_line(error: Exception) -> str:
    """Return what a provider said of a call that it refused, in its own words where it has any."""
    from pilotlight.wire.field_types import dict_in, text_in

    body = getattr(error, "body", None)
    own = text_in(dict_in(body, "error"), "message") or text_in(body, "error")
    lines = (own or str(error)).splitlines() or [""]
    status = getattr(error, "status", None)
    return f"HTTP {status}: {lines[0]}" if own and status else f"{type(error).__name__}: {lines[0]}"


_LIBRARIES = ("litellm", "openai", "ollama", "httpx")
