"""Whether a fault's parameters are what their declarations say, by type and by name."""

from __future__ import annotations

from dataclasses import Field

ABOVE_ZERO = ("period", "every", "up", "down", "bytes_per_second")


class FaultError(ValueError):
    """A fault that cannot be set: an unknown kind, parameter, or value."""


def check_value(kind: str, param: Field[object], value: object) -> None:
    """Refuse a parameter that is not what its declaration says."""
    declared = str(param.type)
    if value is None and "None" in declared:
        return
    if declared.startswith("str"):
        good, wanted = isinstance(value, str), "a string"
    elif declared.startswith("bool"):
        good, wanted = isinstance(value, bool), "true or false"
    elif param.name == "schedule":
        good, wanted = _are_windows(value), "a list of (from, to) in seconds, from before to"
    elif param.name == "rate":
        good, wanted = _is_number(value) and 0 <= float(str(value)) <= 1, "a number from 0 to 1"
    elif param.name in ABOVE_ZERO:
        good, wanted = _is_number(value) and float(str(value)) > 0, "a number above 0"
    elif param.name == "times":
        good, wanted = _is_whole(value) and int(str(value)) >= 1, "a whole number from 1"
    elif param.name == "status":
        good, wanted = _is_whole(value) and 200 <= int(str(value)) <= 599, "an HTTP status"
    elif declared.startswith("int"):
        good, wanted = _is_whole(value) and int(str(value)) >= 0, "a whole number from 0"
    else:
        good, wanted = _is_number(value) and float(str(value)) >= 0, "a number from 0"
    if not good:
        raise FaultError(f"fault {kind!r}: {param.name} is {wanted}, not {value!r}")


def _is_number(value: object) -> bool:
    finite = isinstance(value, int | float) and abs(value) < float("inf")
    return finite and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _are_windows(value: object) -> bool:
    if not isinstance(value, list | tuple) or not value:
        return False
    return all(
        isinstance(each, list | tuple)
        and len(each) == 2
        and all(map(_is_number, each))
        and 0 <= each[0] < each[1]
        for each in value
    )
