"""Reading exceptions: which of them, in a chain of causes, tells the truth.

SDKs and litellm wrap, rename and rewrite.  The truth is either the HTTP response
that one of them still carries, or the socket error at the end of the chain.  Types
are known by the names of their modules, so nothing that may not be installed is
imported.
"""

from __future__ import annotations

import errno
import json
import re
import socket
import ssl
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pilotlight.diagnosis.error_body import as_status, words
from pilotlight.vocabulary.faults import Fault
from pilotlight.wire.tap import Wire

_CHAIN_LIMIT: Final = 32
_LINKS: Final = ("__cause__", "__context__", "original_exception", "reason", "last_exception")

CLIENTS: Final = words(
    "httpx httpx2 httpcore requests urllib3 aiohttp urllib http anthropic openai groq "
    "mistralai cohere google ollama litellm together fireworks replicate botocore boto3 "
    "huggingface_hub langchain langchain_core langchain_openai langchain_anthropic xai_sdk "
    "voyageai h11 h2 websockets grpc azure cerebras ai21 zhipuai dashscope stability_sdk"
)
# Those of them, and of Python's own, that speak with a socket themselves.
TRANSPORTS: Final = words(
    "httpx httpx2 httpcore requests urllib3 aiohttp urllib http h11 h2 websockets grpc botocore"
)
_OUR_SIDE: Final = re.compile(r"LocalProtocol|^Invalid|UnsupportedProtocol|MissingSchema")
_WIRES: Final[Mapping[str, Wire]] = {
    "anthropic": "anthropic",
    "langchain_anthropic": "anthropic",
    "google": "gemini",
    "ollama": "ollama",
    "stability_sdk": "stability",
    "openai": "openai",
    "groq": "openai",
    "mistralai": "openai",
    "langchain_openai": "openai",
}
# Raised for a mistake in a program, not by a provider.
BUGS: Final = (
    TypeError, ValueError, LookupError, AttributeError, AssertionError, NameError, ImportError,
    ArithmeticError, NotImplementedError, RecursionError, SyntaxError, MemoryError, StopIteration,
    StopAsyncIteration, BufferError, ReferenceError, EOFError, SystemError,
    FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError,
    Warning,  # where warnings are errors
)  # fmt: skip
_SOCKET_ERRNOS: Final = frozenset(
    getattr(errno, name)
    for name in words(
        "ECONNREFUSED ECONNRESET ECONNABORTED EPIPE EHOSTUNREACH ENETUNREACH ENETDOWN "
        "EHOSTDOWN ENOTCONN ESHUTDOWN EADDRNOTAVAIL ENETRESET ENOBUFS EALREADY ENOTSOCK"
    )
    if hasattr(errno, name)
)
_TLS_WORDS: Final = re.compile(
    r"certificate.?verify|\bssl\b|\btls\b|self.signed|ssl:", re.IGNORECASE
)
_BY_NAME: Final[tuple[tuple[re.Pattern[str], Fault], ...]] = (
    (re.compile(r"Certificate|SSL|Tls"), Fault.TLS_ERROR),
    (re.compile(r"Timeout|TimedOut|DeadlineExceeded"), Fault.TIMEOUT),
    (re.compile(r"ResponseValidation|JSONDecode|DecodingError|ContentDecoding|UnknownApiResponse"
                r"|TooManyRedirects|PayloadEncoding|LineTooLong|InvalidChunk"),
     Fault.MALFORMED_RESPONSE),
    (re.compile(r"ContentFilterFinishReason"), Fault.CONTENT_BLOCKED),
    (re.compile(r"LengthFinishReason"), Fault.INVALID_REQUEST),
    (re.compile(r"Connect|NetworkError|ReadError|WriteError|CloseError|RemoteProtocol|Proxy"
                r"|Disconnected|ConnectionClosed|NameResolution|IncompleteRead|ChunkedEncoding"
                r"|NewConnection|MaxRetry|ClientOSError|ProtocolError$|EndpointConnection"),
     Fault.CONNECTION_ERROR),
)  # fmt: skip

# LangChain's family for SDKs of any make: what a class of it says, where no status does.
_DECLARED: Final[Mapping[str, Fault]] = {
    "ContextOverflowError": Fault.CONTEXT_EXCEEDED,
    "ModelAPIError": Fault.SERVER_ERROR,
    "ModelAuthenticationError": Fault.AUTH_FAILED,
    "ModelInvalidRequestError": Fault.INVALID_REQUEST,
    "ModelNotFoundError": Fault.MODEL_NOT_FOUND,
    "ModelPermissionDeniedError": Fault.PERMISSION_DENIED,
    "ModelRateLimitError": Fault.RATE_LIMITED,
    "ModelRefusalError": Fault.CONTENT_BLOCKED,
}


def chain(error: BaseException | None) -> list[BaseException]:
    """Return an exception and what led to it, nearest first; bounded, and safe with cycles."""
    found: list[BaseException] = []
    seen: set[int] = set()
    waiting: deque[object] = deque([error])
    while waiting and len(found) < _CHAIN_LIMIT:
        link = waiting.popleft()
        if not isinstance(link, BaseException) or id(link) in seen:
            continue
        seen.add(id(link))
        found.append(link)
        waiting.extend(attribute(link, name) for name in _LINKS)
        inner = link.args[:1] + tuple(getattr(link, "exceptions", ()) or ())[:8]
        waiting.extend(part for part in inner if isinstance(part, BaseException))
    return found


def attribute(thing: object, name: str) -> Any:
    """Read an attribute; properties of other people's exceptions may raise."""
    try:
        return getattr(thing, name, None)
    except Exception:
        return None


def roots(error: BaseException) -> Iterator[str]:
    """Yield the top-level packages that an exception's classes come from."""
    for kind in type(error).__mro__:
        yield str(kind.__module__).partition(".")[0]


def from_client(error: BaseException) -> bool:
    """Tell whether an exception's type belongs to an HTTP client or an SDK."""
    return any(root in CLIENTS for root in roots(error))


def wire_of(errors: list[BaseException], wire: Wire) -> Wire:
    """Return the dialect that an SDK's exception betrays, if none is known."""
    if wire != "other":
        return wire
    found = (_WIRES.get(root) for error in errors for root in roots(error))
    return next((known for known in found if known is not None), wire)


def transport_fault(errors: list[BaseException]) -> Fault | None:
    """Return what went wrong below HTTP; the innermost word is the exact one."""
    faults = [fault for error in errors if (fault := _transport(error)) is not None]
    for exact in (Fault.TLS_ERROR, Fault.TIMEOUT):
        if exact in faults:
            return exact
    return faults[-1] if faults else None


def is_of_transport(errors: list[BaseException]) -> bool:
    """Tell whether something below HTTP failed for certain: refused, no such host, TLS, time.

    An SDK calls whatever it did not expect a connection error, so its word counts only where
    nothing else is known.
    """
    known = [error for error in errors if _is_below_http(error)]
    if any(isinstance(e, OSError) or not TRANSPORTS.isdisjoint(roots(e)) for e in known):
        return True
    return len(known) == len(errors) and next(roots(errors[0]), "") != "litellm"


def _is_below_http(error: BaseException) -> bool:
    """Tell a failure of the transport; one that our own side made is none."""
    if _OUR_SIDE.search(type(error).__name__):
        return False
    return _transport(error) in (Fault.CONNECTION_ERROR, Fault.TLS_ERROR, Fault.TIMEOUT)


def _transport(error: BaseException) -> Fault | None:
    fault: Fault | None = None
    if isinstance(error, ssl.SSLError):
        fault = Fault.TLS_ERROR
    elif isinstance(error, TimeoutError):  # also asyncio's, and the socket's
        fault = Fault.TIMEOUT
    elif isinstance(error, json.JSONDecodeError):
        fault = Fault.MALFORMED_RESPONSE if _while_parsing_answer(error) else None
    elif _is_socket_error(error):
        fault = Fault.CONNECTION_ERROR
    elif from_client(error):
        fault = _by_name(error)
    return _tls_or(fault, error) if fault is Fault.CONNECTION_ERROR else fault


def _is_socket_error(error: BaseException) -> bool:
    return isinstance(error, ConnectionError | socket.gaierror | socket.herror) or (
        isinstance(error, OSError) and error.errno in _SOCKET_ERRNOS
    )


def _by_name(error: BaseException) -> Fault | None:
    """Judge a client library's exception by its class, or else by its base classes."""
    for kind in type(error).__mro__:
        if str(kind.__module__).partition(".")[0] in CLIENTS:
            for pattern, fault in _BY_NAME:
                if pattern.search(kind.__name__):
                    return fault
    return None


def declared_fault(error: BaseException) -> Fault | None:
    """Return what an exception says by being one of LangChain's `ModelError` family."""
    for kind in type(error).__mro__:
        if str(kind.__module__).startswith("langchain_core.") and kind.__name__ in _DECLARED:
            return _DECLARED[kind.__name__]
    return None


def _tls_or(fault: Fault, error: BaseException) -> Fault:
    return Fault.TLS_ERROR if _TLS_WORDS.search(text_of(error)[:400]) else fault


def text_of(error: BaseException) -> str:
    """Return an exception's text; `__str__` of other people's exceptions may raise."""
    try:
        return str(error)
    except Exception:
        return ""


def _while_parsing_answer(error: json.JSONDecodeError) -> bool:
    """Tell a provider's broken answer from a broken file of the user's.

    A client library parsed it, or the text itself is no JSON that anybody keeps: a
    page of HTML, an event stream, or nothing at all.
    """
    document = str(attribute(error, "doc") or "").lstrip()
    if not document or document.startswith(("<", "data:", "event:")):
        return True
    return is_of_reading(error)


def is_of_reading(error: BaseException) -> bool:
    """Tell whether a client library could not parse what it was sent."""
    trace = error.__traceback__ if isinstance(error, json.JSONDecodeError) else None
    for _ in range(64):
        if trace is None:
            return False
        if str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0] in CLIENTS:
            return True
        trace = trace.tb_next
    return False


def is_bug(error: BaseException) -> bool:
    """Tell whether this is a mistake in a program, and so no matter of a provider's."""
    if not isinstance(error, Exception):
        return True  # Ctrl-C, cancellation: never a verdict on anybody
    return isinstance(error, BUGS) and not (_is_socket_error(error) or from_client(error))


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status that an exception carries, under any of its usual names."""
    response = attribute(error, "response")
    if isinstance(response, Mapping):  # botocore
        meta = response.get("ResponseMetadata")
        return as_status(meta.get("HTTPStatusCode")) if isinstance(meta, Mapping) else None
    for owner in (error, response):
        for name in ("status_code", "status", "code", "http_status", "status_int"):
            status = as_status(attribute(owner, name)) if owner is not None else None
            if status is not None and status >= 300:
                return status
    return None
