"""The report as JUnit XML, which CI systems read: one test case a run."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from .reading import Run


def junit(runs: Sequence[Run]) -> str:
    """Return the document."""
    suite = ElementTree.Element(
        "testsuite",
        name="pilotlight chaos",
        tests=str(len(runs)),
        failures=str(sum(not run.ok for run in runs)),
        time=f"{sum(run.duration for run in runs):.3f}",
    )
    for run in runs:
        _add(suite, run)
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _add(suite: ElementTree.Element, run: Run) -> None:
    kind = "negative control" if run.negative else "experiment"
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=f"chaos.{run.name}",
        name=f"{run.title} ({kind}, seed {run.seed})",
        time=f"{run.duration:.3f}",
    )
    if not run.ok:
        failure = ElementTree.SubElement(case, "failure", message=run.outcome)
        failure.text = "\n".join(
            f"{each.name}: {each.shown}, threshold {each.threshold}" for each in run.measures
        )
