"""`pilotlight init`: a starter configuration from what is already here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pilotlight.cli.looking.found import Ollama
    from pilotlight.health.sizing import Advice

# A model of each provider to start with, and a target's name for it.
STARTERS: Mapping[str, tuple[str, str]] = {
    "openai": ("gpt", "gpt-4o"),
    "anthropic": ("claude", "claude-sonnet-4-5"),
    "gemini": ("gemini", "gemini-2.5-flash"),
    "mistral": ("mistral", "mistral-large-latest"),
    "groq": ("groq", "llama-3.3-70b-versatile"),
    "deepseek": ("deepseek", "deepseek-chat"),
    "xai": ("grok", "grok-4"),
    "openrouter": ("openrouter", "openai/gpt-4o"),
    "perplexity": ("perplexity", "sonar"),
    "cohere": ("cohere", "command-a-03-2025"),
}

DEADLINE = 60.0  # seconds, as the route below has it
HEAD = """\
# pilotlight: targets are model endpoints, a route is the order in which they are asked.
# `pilotlight doctor` checks this file, `pilotlight ask "..."` tries it.
# Keys stay in the environment; api_key = { env = "NAME" } names another variable.
"""
LOCAL = """
# The last resort: a model on your own machine.  Its address is OLLAMA_HOST, by default
# 127.0.0.1:11434.{remark}
[targets.local]
model = "ollama/{model}"
concurrency = {concurrency}       # {carries}
queue = {queue}
context = 8192        # tokens; a longer prompt is refused, never cut silently
"""
ROUTE = """
[routes.chat]
targets = [{targets}]     # asked in this order
total_timeout = 60         # seconds for a call, all targets together
# private = true      # local targets only, whatever fails
# on_interrupt = "restart"    # a stream that breaks off starts anew at the next target

# When a target fails so often, it is left alone for a while (these are the defaults):
# [breaker]
# failure_rate = 0.5
# minimum_calls = 5
# reset_timeout = 16    # seconds
"""
_NAME = re.compile(r"[\w.:/@+-]+")  # what can stand in the file; it is somebody else's text
EXAMPLE = """
# No API key was found in the environment.  With one, a closed model goes first:
# [targets.gpt]
# model = "openai/gpt-4o"     # and OPENAI_API_KEY in the environment
# then: routes.chat.targets = ["gpt", "local"]
"""


@click.command("init")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("pilotlight.toml"),
    show_default=True,
    help="The file to write.",
)
@click.option("--force", is_flag=True, help="Overwrite the file if it exists.")
@click.option("--no-measure", is_flag=True, help="Do not load the local model and ask it.")
def command(output: Path, force: bool, no_measure: bool) -> None:
    """Write a starter pilotlight.toml from the API keys and the Ollama models found here."""
    from pilotlight.cli.looking import found

    if output.exists() and not force:
        raise click.UsageError(f"{output} exists; --force overwrites it")
    keys = found.keys_present()
    try:
        server = found.ollama()
    except ValueError as error:
        raise click.UsageError(f"OLLAMA_HOST: {error}") from None
    model = next(filter(_NAME.fullmatch, server.models), None)
    text = starter(keys, model, None if no_measure or model is None else _advice(model))
    _checked(text)
    try:
        with output.open("w" if force else "x", encoding="utf-8") as file:  # x: through no link
            file.write(text)
    except OSError as error:
        raise click.ClickException(f"{output}: can't be written: {error.strerror}") from None
    _tell(output, keys, server, model)


def _advice(model: str) -> Advice | None:
    """Measure the local model as the file will have it; None where that can't be done."""
    from pilotlight.app import load
    from pilotlight.cli.screen import remark
    from pilotlight.health.sizing import NotMeasured, advise, measure

    remark(f"measuring {model}; --no-measure leaves that out")
    target = {"model": f"ollama/{model}", "context": 8192}
    with load({"targets": {"local": target}}) as app:
        try:
            return advise(measure(app.target("local")), DEADLINE)
        except NotMeasured as why:
            remark(f"{model} was not measured: {why}")
            return None


def starter(keys: Mapping[str, str], model: str | None, advice: Advice | None = None) -> str:
    """Return the file's text, from what `keys_present` found and the local model, if any."""
    from pilotlight.cli.looking.found import DEFAULT_MODEL

    parts, order = [HEAD], []
    for provider, variable in keys.items():
        if provider in STARTERS:
            name, first = STARTERS[provider]
            order.append(name)
            parts.append(
                f'\n[targets.{name}]\nmodel = "{provider}/{first}"     # key: {variable}\n'
            )
        else:
            parts.append(f'\n# {variable} is set: model = "{provider}/..." would use it\n')
    if not order:
        parts.append(EXAMPLE)
    remark = "" if model else f"\n# Not pulled yet: ollama pull {DEFAULT_MODEL}"
    carries = "what the machine can carry at once; more waits in the queue"
    if advice is not None:
        carries = (
            f"as measured: {advice.a_minute:.0f} answers a minute; more calls wait in the queue"
        )
    parts.append(
        LOCAL.format(
            model=model or DEFAULT_MODEL,
            remark=remark,
            concurrency=advice.concurrency if advice else 2,
            queue=advice.queue if advice else 16,
            carries=carries,
        )
    )
    quoted = ", ".join(f'"{name}"' for name in [*order, "local"])
    return "".join([*parts, ROUTE.format(targets=quoted)])


def _checked(text: str) -> None:
    """Make sure that what is written can be read: a model's name is somebody else's text."""
    import tomllib

    from pilotlight.config.schema import parse

    parse(tomllib.loads(text), "the starter")


def _tell(output: Path, keys: Mapping[str, str], server: Ollama, model: str | None) -> None:
    from rich.text import Text

    from pilotlight.cli.looking.found import DEFAULT_MODEL
    from pilotlight.cli.screen import out
    from pilotlight.plain import plain

    console = out()

    def say(line: str, style: str = "") -> None:
        console.print(Text(plain(line), style), soft_wrap=True)

    say(f"wrote {output}", "bold green")
    say(f"  keys found: {', '.join(keys.values()) or 'none in the environment'}")
    if model:
        say(f"  local model: {model} (Ollama {server.version} at {server.url})")
    elif server.problem:
        say(f"  Ollama: {server.problem}", "yellow")
    else:
        say(f"  Ollama at {server.url} has no local chat model", "yellow")
    say("next:", "bold")
    if server.problem:
        say("  ollama serve                     start it; https://ollama.com/download installs it")
    if not model:
        say(f"  ollama pull {DEFAULT_MODEL:20} a model of your own (2 GB)")
    say("  pilotlight doctor                is everything in place?")
    say('  pilotlight ask "Who are you?"    the first call')
