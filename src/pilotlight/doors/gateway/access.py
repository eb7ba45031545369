"""Who may come in: a key's holder, or, where there are no keys, this machine's own programs."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from pilotlight.doors.gateway.keys import ANYBODY, PREFIX, Key, KeyRing
from pilotlight.doors.gateway.refuse import Refuse
from pilotlight.privacy.residency import is_loopback

Scope = MutableMapping[str, Any]

_ASK: Final = {"www-authenticate": 'Basic realm="pilotlight", charset="UTF-8"'}


class Access:
    """Decides who may come in.

    With a `ring` a key is needed.  Without one only programs of this machine may ask, and no
    page that a browser of this machine has open.  `public`: whoever reaches us may ask, because
    somebody else has looked at the request already.
    """

    def __init__(self, ring: KeyRing | None = None, *, public: bool = False) -> None:
        self._ring = ring
        self._public = public

    def admit(self, scope: Scope, headers: Mapping[str, str], in_path: str) -> tuple[str, Key]:
        """Return the name and the key of a caller; raises Refuse."""
        if self._ring is not None:
            return self._by_key(self._ring, scope, headers, in_path)
        if not self._public:
            _refuse_strangers(scope, headers)
        return "", ANYBODY

    @staticmethod
    def _by_key(
        ring: KeyRing, scope: Scope, headers: Mapping[str, str], in_path: str
    ) -> tuple[str, Key]:
        given = in_path or _secret(scope, headers)
        if not given:
            raise Refuse(
                401,
                "no key: send one of `pilotlight keys add` as the API key of your SDK, or as "
                "the header Authorization: Bearer KEY",
                headers=_ASK,
            )
        found = ring.find(given)
        if found is None:
            raise Refuse(401, "this key is not known here, or not any more", headers=_ASK)
        return found


def split_key(path: str) -> tuple[str, str]:
    """Return the key that an address begins with, if it does, and the rest.

    `/plk_.../api/chat`: for programs that can be told an address and no key, as Ollama's.
    """
    if not path.startswith(f"/{PREFIX}"):
        return "", path
    key, slash, rest = path[1:].partition("/")
    return key, slash + rest or "/"


def _secret(scope: Scope, headers: Mapping[str, str]) -> str:
    for name in ("x-api-key", "x-goog-api-key", "api-key"):
        if given := headers.get(name):
            return given
    kind, _, given = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return given.strip()
    if kind.lower() == "basic":
        return _password(given.strip())
    query: bytes = scope.get("query_string", b"")
    if b"key=" in query:
        return parse_qs(query.decode("latin-1")).get("key", [""])[0]
    return ""


def _password(given: str) -> str:
    try:
        said = base64.b64decode(given, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""
    return said.partition(":")[2]


def _refuse_strangers(scope: Scope, headers: Mapping[str, str]) -> None:
    """Refuse whoever is not a program of this machine.

    A page in a browser here can send to loopback as well: by a name of its own that leads there
    (DNS rebinding), which the host tells; or by a plain form, which the origin tells.
    """
    client = scope.get("client")
    if client is not None and not is_loopback(client[0]):
        raise Refuse(403, "without keys only this machine may ask; `pilotlight keys add NAME`")
    host = headers.get("host", "")
    if host and not is_loopback(_host_of(f"//{host}")):
        raise Refuse(
            403,
            "the host that was asked for is not this machine; ask for 127.0.0.1 or localhost, "
            "or use keys (`pilotlight keys add NAME`)",
        )
    origin = headers.get("origin")
    if origin is not None and (origin == "null" or urlsplit(origin).netloc != host):
        raise Refuse(403, "a web page may not ask; use a key (`pilotlight keys add NAME`)")


def _host_of(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""
