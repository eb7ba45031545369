"""`pilotlight report-fault`: a receipt's undiagnosed fault as an entry for the fault corpus."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

UNDIAGNOSED = "unknown"


@click.command("report-fault")
@click.argument("receipts", type=click.File("r"), default="-")
@click.option("--all", "everything", is_flag=True, help="Also the faults that were diagnosed.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write here.")
@click.pass_context
def command(ctx: click.Context, receipts: Any, everything: bool, output: Path | None) -> None:
    """Turn the unknown faults of RECEIPTS into corpus entries to send upstream.

    RECEIPTS is a file of JSON: receipts as `receipt.to_dict()` gives them, one, a list
    or one a line, or what `pilotlight ask --json` prints.  The entries hold the status,
    the provider's own code and a scrubbed piece of what it said; no prompt, answer or
    key was ever in a receipt.
    """
    from pilotlight.cli.screen import complain

    try:
        found = list(_receipts(receipts.read()))
    except (ValueError, RecursionError) as error:
        complain(f"{receipts.name}: not JSON: {error}")
        ctx.exit(2)
    entries = [entry for receipt in found for entry in _entries(receipt, everything)]
    if not entries:
        tried = "no fault" if everything else "no undiagnosed fault (--all takes every fault)"
        complain(f"{receipts.name}: {tried} in {len(found)} receipts")
        ctx.exit(1)
    text = json.dumps(entries, indent=2) + "\n"
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, "utf-8")
        click.echo(f"wrote {len(entries)} entries to {output}", err=True)


def _receipts(text: str) -> Iterator[dict[str, Any]]:
    """Read one JSON document, or one a line."""
    try:
        documents: Iterable[Any] = [json.loads(text)]
    except ValueError:
        documents = [json.loads(line) for line in text.splitlines() if line.strip()]
    for document in documents:
        for each in document if isinstance(document, list) else [document]:
            receipt = (each.get("receipt") or each) if isinstance(each, dict) else None
            if isinstance(receipt, dict):
                yield receipt


def _entries(receipt: dict[str, Any], everything: bool) -> Iterator[dict[str, Any]]:
    """Yield an entry for each attempt that failed, in the corpus's own fields."""
    attempts = receipt.get("attempts")
    for attempt in attempts if isinstance(attempts, list) else ():
        fault = attempt.get("fault") if isinstance(attempt, dict) else None
        if fault is None or (fault != UNDIAGNOSED and not everything):
            continue
        provider = str(attempt.get("model", "")).partition("/")[0]
        code = attempt.get("code") or attempt.get("error_type") or "fault"
        yield {
            "id": f"{provider}.reported.{code}",
            "provider": provider,
            "model": attempt.get("model"),
            "fault": f"reported by a user: {attempt.get('error_type')}",
            "status": attempt.get("status"),
            "headers": {},
            "body": attempt.get("evidence"),
            "modes": ["sync", "async"],
            "expected_class": fault,
            "source": "pilotlight report-fault",
            "evidence": "derived",
            "note": "scrubbed; `expected_class` is what pilotlight said, put right what is wrong",
        }
