"""The contract of `.importlinter` that forbids circles, at packages that have one."""

from __future__ import annotations

from itertools import pairwise

import grimp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tools.import_contracts import NoCircles

# What a module may look like that imports another; `{}` is the import.
FORMS = {
    "at the top": "{}\n",
    "in a function": "def use():\n    {}\n",
    "for types": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {}\n",
}
# Circles: each imports the next, the last the first.
CIRCLES = {
    "siblings": ("first.a", "first.b"),
    "a package and its own module": ("first.room", "first.room.a"),
    "the root and its own module": ("first", "first.a"),
    "rooms by way of a third": ("first.room.a", "first.other.a", "first.b"),
    "two distributions": ("first.a", "second.a"),
}
MODULES = [
    f"{root}{module}"
    for root in ("first", "second")
    for module in ("", ".a", ".b", ".room", ".room.a", ".other", ".other.a")
]


def checked(graph: grimp.ImportGraph):
    return NoCircles("no circles", {}, {}).check(graph, verbose=False)


def written(folder, imports: dict[str, str]) -> None:
    """Write two distributions whose modules hold `imports`, and nothing else."""
    for module in MODULES:
        is_package = any(other.startswith(f"{module}.") for other in MODULES)
        file = (
            folder.joinpath(*module.split("."), "__init__.py")
            if is_package
            else folder.joinpath(*module.split(".")).with_suffix(".py")
        )
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(imports.get(module, ""))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("circle", CIRCLES)
def test_a_circle_is_found_and_told_line_by_line(tmp_path, monkeypatch, circle, form):
    monkeypatch.syspath_prepend(tmp_path)
    steps = list(pairwise((*CIRCLES[circle], CIRCLES[circle][0])))

    def graph(kept):
        written(tmp_path, {a: FORMS[form].format(f"import {b}") for a, b in kept})
        return grimp.build_graph("first", "second", cache_dir=None)

    check = checked(graph(steps))
    assert not check.kept
    line = FORMS[form].count("\n")
    assert sorted(check.metadata["steps"]) == sorted(f"{a} -> {b} (l.{line})" for a, b in steps)
    for gone in steps:  # any one of its imports taken away, it is none
        assert checked(graph([each for each in steps if each != gone])).kept


@given(
    st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(lambda pair: pair[0] != pair[1]))
)
def test_kept_is_the_same_as_no_module_reaches_itself(pairs):
    graph = grimp.ImportGraph()
    reached = {each: {b for a, b in pairs if a == each} for each in range(8)}
    for each in range(8):
        graph.add_module(f"m{each}")
    for a, b in pairs:
        graph.add_import(importer=f"m{a}", imported=f"m{b}", line_number=1, line_contents="")
    for _ in range(8):
        reached = {a: ends.union(*(reached[b] for b in ends)) for a, ends in reached.items()}
    assert checked(graph).kept == all(a not in ends for a, ends in reached.items())
