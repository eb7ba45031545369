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
    from pilotlight.cli.looking.setting import open_config, the_route
    from pilotlight.cli.screen import remark
    from pilotlight.cli.words import summary

    messages = [{"role": "user", "content": _question(question)}]
    app = open_config(config)
    click.get_current_context().call_on_close(app.close)
    route = the_route(app, name)
    _load_sdk(route)
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


def _load_sdk(route: Route) -> None:
    """Import what a target needs before the call's clock starts."""
    for target in route.targets:
        target.provider.prepare()


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
    from pilotlight.errors import AllTargetsFailed, DeadlineExceeded

    try:
        with _plainly():
            answer = route.complete(messages, **options)
    except (AllTargetsFailed, DeadlineExceeded) as error:
        receipt = error.receipt.to_dict() if error.receipt else None
        print_json({"text": None, "receipt": receipt, "error": str(error)})
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
        raise click.ClickException(f"{type(error).__name__}: {_said(error)}") from None


def _said(error: Exception) -> str:
    """Return the first line of what a provider said, else of what its library did."""
    from pilotlight.diagnosis.error_body import read_body
    from pilotlight.errors import ProviderRefusal

    told = read_body(error.content).message if isinstance(error, ProviderRefusal) else ""
    lines = (told or str(error)).splitlines() or [""]
    return lines[0]


_LIBRARIES = ("litellm", "openai", "ollama", "httpx")
