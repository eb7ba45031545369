"""Bodies as they were meant: inflated in small steps, and never larger than can be kept.

Our requests ask for no compression.  A server that compresses all the same is read here, before
anybody else, so that the attempt's clocks hold at every step and 300 KB can't become 700 MB.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import Final

import httpx

MAX_BODY: Final = 64 * 2**20
"""Bytes of a plain answer, inflated; a stream is kept by nobody, and is as long as it likes."""

TOO_LARGE: Final = f"a body of more than {MAX_BODY // 2**20} MB"
_STEP: Final = 64 * 1024  # bytes inflated between two looks at the clocks
_GZIP: Final = frozenset({"gzip", "x-gzip"})
# What some servers write where a coding belongs; it says nothing.
_NO_CODING: Final = frozenset({"", "identity", "none", "utf-8", "utf8"})
_OF_THE_WIRE: Final = frozenset({b"content-encoding", b"content-length"})

Headers = list[tuple[bytes, bytes]]


class UnfitBody(httpx.DecodingError):
    """A body that is not read: too large, or in a coding that nobody asked for."""


def by_name(headers: Headers) -> dict[str, str]:
    """Return the headers by lower-case name, repeated ones joined."""
    found: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = _lower_name(raw_name), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


@lru_cache(256)  # a server's names are always the same
def _lower_name(raw: bytes) -> str:
    return raw.decode("latin-1").lower()


def coding_of(told: str) -> str:
    """Return what a content-encoding header tells, in the order of application; empty: none."""
    names = told.lower().split(",")
    return ", ".join(name for each in names if (name := each.strip()) not in _NO_CODING)


def inflated_headers(headers: Headers) -> Headers:
    """Return the headers of a body that has been inflated here."""
    return [(name, value) for name, value in headers if name.lower() not in _OF_THE_WIRE]


class Inflater:
    """A compressed body, step by step: `put` what has come, `step` until there is no more.

    Raises UnfitBody for what can't be inflated, or is another coding than gzip or deflate:
    two layers of them too, which nothing but an attack needs.
    """

    __slots__ = ("_inflate", "_more", "_rest", "_taken", "_unsure")

    def __init__(self, coding: str) -> None:
        if coding not in _GZIP and coding != "deflate":
            raise UnfitBody(
                f"a body in the coding {coding.replace(', ', '+')[:40]}, which was not asked for"
            )
        self._inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
        self._rest = b""
        self._more = False  # zlib itself holds back what was more than one step
        self._taken = 0
        self._unsure = coding == "deflate"  # some write it without its header (RFC 9110, 8.4.1.2)

    @property
    def cut(self) -> bool:
        """Whether there was compressed data that has not come to its own end."""
        return self._taken > 0 and not self._inflate.eof

    def put(self, data: bytes) -> None:
        """Take the next bytes from the wire; what comes after the end is ignored."""
        self._taken += len(data)
        if self._taken > MAX_BODY:
            raise UnfitBody(TOO_LARGE)
        self._rest += data

    def step(self) -> bytes:
        """Return the next bytes of the body; none: the wire has to give more."""
        if self._inflate.eof or not (self._rest or self._more):
            self._rest = b""
            return b""
        if self._unsure:
            if len(self._rest) < 2:
                return b""
            self._unsure = False
            if int.from_bytes(self._rest[:2]) % 31 or self._rest[0] & 15 != 8:  # RFC 1950, 2.2
                self._inflate = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
        try:
            done = self._inflate.decompress(self._rest, _STEP)
        except zlib.error:
            raise UnfitBody("a compressed body that can't be inflated") from None
        self._rest = self._inflate.unconsumed_tail
        self._more = len(done) == _STEP
        return done
