"""`pilotlight chaos`: list, run and report the experiments."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pilotlight import extras
from pilotlight.plain import plain

from .report.html import page
from .report.junit import junit
from .report.markdown import written
from .report.reading import JournalError, Run, pairs, read, summary, told

if TYPE_CHECKING:
    from .lab.runner import Experiment

FAILED, INTERRUPTED = 1, 130


def _runner() -> Any:
    """Return the module that needs chaostoolkit; reports can be written without it."""
    try:
        from .lab import runner
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] != "chaoslib":
            raise
        raise click.ClickException(str(extras.missing("chaostoolkit", "chaos", "this"))) from None
    return runner


@click.group("chaos", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Play outages against pilotlight and check what it promises, by chaostoolkit.

    Everything happens on this machine: the providers are played, nothing is sent anywhere.
    """


@command.command("list")
def list_experiments() -> None:
    """List the experiments."""
    for each in _runner().packaged():
        click.echo(f"{each.name:20} {each.load()['title']}")


@dataclass(frozen=True, slots=True)
class Order:
    """One run to be made."""

    experiment: Experiment
    negative: bool

    @property
    def name(self) -> str:
        """The journal's name."""
        return f"{self.experiment.name}{'.negative' if self.negative else ''}"


@command.command("run")
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that come with pilotlight-chaos.")
@click.option(
    "--controls/--no-controls", default=True, help="Also the negative controls (default)."
)
@click.option("--negative", is_flag=True, help="Only the negative controls.")
@click.option(
    "--trust",
    is_flag=True,
    help="Run what a file names besides our own actions and probes: programs, requests, modules.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of traffic and faults.")
@click.option(
    "--journals",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Keep chaostoolkit's journal of each run here.",
)
@click.option(
    "-o",
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    metavar="FILE",
    help="Also write a report: .html, .md or .xml (JUnit); may be repeated.",
)
def run_experiments(
    names: Sequence[str],
    everything: bool,
    controls: bool,
    negative: bool,
    trust: bool,
    seed: int,
    journals: Path | None,
    report: Sequence[Path],
) -> None:
    """Run experiments, by name, number, or the path of a YAML file.

    A file runs whatever it names, with your rights; so one that names more than the actions
    and probes of pilotlight-chaos is refused, unless you --trust it.

    Exit code 0 only if every experiment held and every negative control deviated at
    the probe that it names.  Ctrl-C rolls back the one that runs and begins no other: 130.
    """
    if bool(names) == everything:
        raise click.UsageError("name experiments, or say --all; `pilotlight chaos list` has them")
    _check_reports(report)
    runner = _runner()
    try:
        chosen = runner.packaged() if everything else runner.find(names, trust=trust)
        runs = _carry_out(_orders(chosen, controls, negative), seed, journals)
    except runner.ExperimentError as error:
        raise click.ClickException(str(error)) from None
    _write_reports(runs, report)
    if runs and _stopped(runs[-1]):
        click.echo(f"interrupted: {summary(pairs(runs))}")
        raise click.exceptions.Exit(INTERRUPTED)
    _conclude(runs)


@command.command("report")
@click.argument("journals", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    default=[Path("chaos.html")],
    show_default=True,
    metavar="FILE",
    help=".html, .md or .xml (JUnit); may be repeated.",
)
def write_report(journals: Sequence[Path], output: Sequence[Path]) -> None:
    """Write reports of JOURNALS: files, or folders of them; of `chaos run`'s, too.

    A Markdown file that has the marks `chaos report` keeps what stands around them.
    """
    _check_reports(output)
    try:
        runs = [read(path) for path in _files(journals)]
    except JournalError as error:
        raise click.ClickException(str(error)) from None
    _write_reports(runs, output)
    _conclude(runs)


def _orders(chosen: Iterable[Experiment], controls: bool, negative: bool) -> list[Order]:
    kinds = (True,) if negative else (False, True) if controls else (False,)
    return [Order(each, kind) for each in chosen for kind in kinds]


def _carry_out(orders: Sequence[Order], seed: int, journals: Path | None) -> list[Run]:
    runner, runs = _runner(), []
    for order in orders:
        began = time.monotonic()
        journal = runner.run(order.experiment, seed=seed, negative=order.negative)
        if journals is not None:
            runner.write(journal, journals / f"{order.name}.json")
        run = told(journal, order.experiment.name)
        runs.append(run)
        mark = click.style("ok  ", fg="green") if run.ok else click.style("FAIL", fg="red")
        kind = "control" if run.negative else "       "
        told_of = f"{run.outcome}{_figure(run)}"
        took = time.monotonic() - began
        click.echo(f"{mark} {plain(run.name):18} {kind} {took:5.1f} s  {plain(told_of)}")
        if _stopped(run):
            break
    return runs


def _stopped(run: Run) -> bool:
    """Tell whether Ctrl-C was pressed; a second one chaostoolkit keeps to itself."""
    return _runner().interrupted() or (run.status == "interrupted" and not run.aborted)


def _figure(run: Run) -> str:
    """Say by how much, of what deviated."""
    fell = next((each for each in run.measures if not each.met), None)
    if fell is None or not run.deviated or run.aborted:
        return ""
    return f" is {fell.shown}, threshold {fell.threshold}"


def _files(places: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for place in places:
        found += sorted(place.rglob("*.json")) if place.is_dir() else [place]
    if not found:
        raise click.ClickException("there is no journal (*.json) in there")
    return found


WRITERS: dict[str, Callable[[Path, Sequence[Run]], str]] = {
    ".html": lambda path, runs: page(pairs(runs)),
    ".md": lambda path, runs: written(path, pairs(runs)),
    ".xml": lambda path, runs: junit(runs),
}


def _check_reports(paths: Iterable[Path]) -> None:
    """Complain about a report's place before the runs, not after them."""
    for path in paths:
        if path.suffix not in WRITERS:
            known = ", ".join(WRITERS)
            raise click.UsageError(f"{path}: a report's name ends in one of {known}")
        if not path.absolute().parent.is_dir():
            raise click.UsageError(f"{path}: there is no folder {path.absolute().parent}")


def _write_reports(runs: Sequence[Run], paths: Iterable[Path]) -> None:
    for path in paths:
        try:
            path.write_text(WRITERS[path.suffix](path, runs), "utf-8")
        except OSError as error:
            raise click.ClickException(f"{path}: can't be written: {error.strerror}") from None
        click.echo(f"report: {path}")


def _conclude(runs: Sequence[Run]) -> None:
    click.echo(plain(summary(pairs(runs))))
    if not all(run.ok for run in runs):
        raise click.exceptions.Exit(FAILED)
