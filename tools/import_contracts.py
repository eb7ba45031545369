"""A contract for `.importlinter`: no module imports itself, by whatever way round.

import-linter's own `acyclic_siblings` compares rooms.  It does not see a package that imports a
module of its own which imports the package, nor a circle from one distribution into another.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

import grimp
from importlinter import Contract, ContractCheck, output


class NoCircles(Contract):
    """Kept when every module can be loaded after all that it imports, types and lazy imports too.

    It looks at every module below `root_packages`.
    """

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:
        imports = {each: graph.find_modules_directly_imported_by(each) for each in graph.modules}
        try:
            TopologicalSorter(imports).prepare()
        except CycleError as error:
            circle = list(reversed(error.args[1]))  # each imports the next; the first is the last
            return ContractCheck(kept=False, metadata={"steps": _steps(graph, circle)})
        return ContractCheck(kept=True)

    def render_broken_contract(self, check: ContractCheck) -> None:
        output.print_error("These modules import each other in a circle:")
        for step in check.metadata["steps"]:
            output.print_error(f"- {step}")
        output.print_error("What they share stands below them all; what one needs is passed in.")
        output.new_line()


def _steps(graph: grimp.ImportGraph, circle: list[str]) -> list[str]:
    steps = []
    for importer, imported in pairwise(circle):
        lines = graph.get_import_details(importer=importer, imported=imported)
        where = ", ".join(f"l.{each['line_number']}" for each in lines)
        steps.append(f"{importer} -> {imported} ({where})")
    return steps
