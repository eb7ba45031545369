"""What pilotlight's users can rely on, written out: every public name with its signature.

    python tools/public_api.py            write it into tests/public_api.txt
    python tools/public_api.py --check    only say whether that is out of date; exit 1 if so

A name stands at the margin, what a class of it has stands indented below: only what is
pilotlight's own, not what pybreaker or Python brings.
"""

from __future__ import annotations

import dataclasses
import dis
import enum
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_overloads

import pilotlight

TEXT = Path(__file__).resolve().parent.parent / "tests" / "public_api.txt"
_SPOKEN = {"__anext__", "__await__", "__call__", "__next__"}  # whose types users meet
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class _Bare:
    """An annotation that shows as it was written, without quotes."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def rendered() -> str:
    """Return the whole text."""
    lines = (line for name in pilotlight.__all__ for line in _of(name, getattr(pilotlight, name)))
    return "".join(f"{line}\n" for line in lines)


def _of(name: str, value: Any) -> Iterator[str]:
    if not inspect.isclass(value):
        kind = f"{name}: {type(value).__name__}"
        yield from _functions(name, value) if callable(value) else [kind]
        return
    yield f"class {name}{_made(value)}{_bases(value)}"
    declared = {member for home in _own(value) for member in vars(home)}
    for member in sorted(declared | _set_by_constructor(value) | set(_fields(value))):
        if not member.startswith("_") or member in _SPOKEN:
            yield from (f"    {line}" for line in _member(value, member))


def _own(kind: type) -> list[type]:
    """Return the class and those of its bases that are pilotlight's."""
    return [home for home in kind.__mro__ if home.__module__.startswith("pilotlight")]


def _bases(kind: type) -> str:
    shown = [base.__name__ for base in kind.__bases__ if base is not object]
    return f": {', '.join(shown)}" if shown else ""


def _made(kind: type) -> str:
    """Return what its constructor takes; nothing where users don't call one of pilotlight's."""
    if issubclass(kind, enum.Enum) or getattr(kind, "_is_protocol", False):
        return ""
    home = next((each for each in _own(kind) if "__init__" in vars(each)), None)
    return "" if home is None else _parameters(vars(home)["__init__"], skip=1)


def _set_by_constructor(kind: type) -> set[str]:
    """Return the attributes that stand in no class, such as those of an exception."""
    makers = [vars(home)["__init__"] for home in _own(kind) if "__init__" in vars(home)]
    steps = [step for maker in makers for step in dis.get_instructions(maker)]
    return {step.argval for step in steps if step.opname == "STORE_ATTR"}


def _fields(kind: type) -> dict[str, str]:
    if not dataclasses.is_dataclass(kind):
        return {}
    return {field.name: str(field.type) for field in dataclasses.fields(kind)}


def _member(kind: type, name: str) -> Iterator[str]:
    if name in (fields := _fields(kind)):
        yield f"{name}: {fields[name]}"
        return
    value = next((vars(home)[name] for home in _own(kind) if name in vars(home)), None)
    if value is None:
        yield name
    elif isinstance(value, enum.Enum) or not (callable(value) or hasattr(value, "__get__")):
        yield f"{name} = {getattr(value, 'value', value)!r}"
    elif (read := getattr(value, "fget", None) or getattr(value, "func", None)) is not None:
        yield f"{name}: {inspect.signature(read).return_annotation}"
    elif isinstance(value, classmethod | staticmethod):
        yield from _functions(name, value.__func__, skip=int(isinstance(value, classmethod)))
    elif callable(value):
        yield from _functions(name, value, skip=1)


def _functions(name: str, function: Callable[..., Any], skip: int = 0) -> Iterator[str]:
    """Yield a line for each overload, or the one for a function without any."""
    mark = "async def" if inspect.iscoroutinefunction(function) else "def"
    for form in get_overloads(function) or [function]:
        yield f"{mark} {name}{_parameters(form, skip)}"


def _parameters(function: Callable[..., Any], skip: int = 0) -> str:
    """Return the parameters and the result; `skip` leaves out `self`."""
    signature = inspect.signature(function)
    kept = [
        each if each.annotation is each.empty else each.replace(annotation=_bare(each.annotation))
        for each in list(signature.parameters.values())[skip:]
    ]
    result = signature.return_annotation
    shown = signature.empty if result in (signature.empty, "None", None) else _bare(result)
    return _ADDRESS.sub("", str(signature.replace(parameters=kept, return_annotation=shown)))


def _bare(annotation: Any) -> Any:
    return _Bare(annotation) if isinstance(annotation, str) else annotation


def main(arguments: list[str]) -> int:
    """Write the text, or say whether it is out of date."""
    text = rendered()
    if TEXT.exists() and TEXT.read_text("utf-8") == text:
        return 0
    if "--check" in arguments:
        print(f"{TEXT.name}: out of date")
        return 1
    TEXT.write_text(text, "utf-8")
    print(f"{TEXT.name}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
