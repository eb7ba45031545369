"""What the core and a provider say to one another: what is asked, and what came of it.

    Attempt(target, ...)  ->  Answered | Opened | Failed
    and of a stream that was opened  ->  Ended | Failed

All of them are frozen, so that a conversation can be compared with `==` in a test.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from pilotlight.core.embedding_space import EmbeddingSpace
from pilotlight.core.health.lifecycle import Notice
from pilotlight.events import CallEvent
from pilotlight.vocabulary.faults import Fault
from pilotlight.vocabulary.operations import Operation, Priority
from pilotlight.vocabulary.residency_rules import ResidencyRule


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The separate clocks of one attempt, in seconds; None means no limit.

    `connect` bounds the TCP and TLS handshake, `first_token` the wait for the
    first content of a stream, `between_tokens` the silence between two pieces
    of content (keep-alives do not count), `total` the whole attempt.  An answer that is
    gathered (`Attempt.gather`) is a stream to them.
    """

    connect: float | None = 5.0
    first_token: float | None = 30.0
    between_tokens: float | None = 20.0
    total: float | None = 120.0


@dataclass(frozen=True, slots=True)
class Home:
    """Where the caller's own client would have sent a request, and with which headers.

    `target` is the one that stands for this client on the route.
    """

    target: AskedTarget
    url: str
    headers: Mapping[str, str] = field(repr=False)  # with its key, without those of a connection


@dataclass(frozen=True, slots=True)
class Original:
    """A call as its caller has said it, in the JSON of an API (`pilotlight.dialects`).

    A target that speaks the same dialect is sent `body` as it is, but for the model's name; any
    other is asked by what the call says in OpenAI's shapes, which can't hold what is `lost`.
    `headers` are those that belong to the dialect, such as `anthropic-beta`.
    """

    dialect: str
    body: bytes = field(repr=False)
    said: Mapping[str, Any] = field(repr=False)  # the body, read
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    lost: tuple[str, ...] = ()
    home: Home | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """What the user asked for; never changed afterwards.

    `messages` are OpenAI-shaped; the texts to embed and the prompt of an image stand
    there too, each as one message.  `options` are OpenAI-style parameters, passed on
    untouched.  `deadline` is a moment of the flow's clock, not a length of time; `timeout` is how
    many seconds one attempt may take at most.
    """

    route: str
    messages: Sequence[Mapping[str, Any]] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    private: bool = False
    deadline: float | None = None
    timeout: float | None = None
    needs: frozenset[str] = frozenset()
    stream: bool = False
    priority: Priority = "normal"  # in the queue of a target that is full
    operation: Operation = "chat"
    skip_broken: bool = False  # an event of a stream that can't be read is left out
    original: Original | None = field(default=None, repr=False)  # None: made in OpenAI's shapes
    tags: Mapping[str, str] = field(default_factory=dict)  # the user's own, by which it is counted


@dataclass(frozen=True, slots=True)
class Report:
    """A provider's diagnosis of a failed attempt.

    `evidence` is a short, scrubbed piece of what the provider said; it never
    holds prompt text or keys.  `window` is how many tokens the model takes, where a
    prompt was refused with these words.
    """

    fault: Fault
    error: Exception
    retry_after: float | None = None
    status: int | None = None
    evidence: str = ""
    code: str | None = None  # the provider's own name for the problem
    error_type: str = ""  # of what `error` stands for; empty: of `error` itself
    rule: ResidencyRule | None = None  # where residency refused, at the socket or the answer
    window: int | None = None
    own: float = field(default=0.0, compare=False)  # seconds that this process took for itself


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an answer: for the receipt, never for the road."""

    model: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    finish_reason: str | None = None
    status: int | None = None
    flags: tuple[str, ...] = ()
    notice: Notice | None = None  # the model's end, where the answer announced it
    response_id: str | None = None
    cached_tokens: int | None = None  # of those of the prompt
    reasoning_tokens: int | None = None  # of those of the answer
    written_tokens: int | None = None  # of those of the prompt, put into a cache
    heard_tokens: int | None = None  # of those of the prompt, of audio
    spoken_tokens: int | None = None  # of those of the answer, of audio
    lost: tuple[str, ...] = ()  # what of the call its API could not be told
    relayed: bool = False  # it was asked in the caller's own words
    own: float = field(default=0.0, compare=False)  # seconds that this process took for itself
    loading: float = field(default=0.0, compare=False)  # seconds until its server had the model


# What came of it.


@dataclass(frozen=True, slots=True)
class Answered:
    """The target answered, and the answer was judged good."""

    value: Any
    facts: Facts = Facts()


@dataclass(frozen=True, slots=True)
class Opened:
    """A stream gave its first text or tool call."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A stream ran to its proper end."""

    facts: Facts = Facts()


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed; `partial` is the text the caller has seen of it.

    After `tool_begun` a stream is never started anew: the tool may have run.
    """

    report: Report
    partial: str = ""
    tool_begun: bool = False


# Who does the work.


class Source(Protocol):
    """A stream being read from one target, in plain iteration."""

    def __iter__(self) -> Iterator[Any]: ...

    def commits(self, chunk: Any) -> bool:
        """Tell whether this chunk carries text or a tool call."""

    def ended(self) -> Ended | Failed:
        """Judge a stream that ran out: complete, truncated, empty."""

    def failed(self, error: Exception) -> Ended | Failed:
        """Diagnose what interrupted the stream; what comes after the last word did not."""

    def close(self) -> None:
        """Give the connection back; safe to call twice."""


class AsyncSource(Protocol):
    """A stream being read from one target, in async iteration."""

    def __aiter__(self) -> AsyncIterator[Any]: ...

    def commits(self, chunk: Any) -> bool:
        """Tell whether this chunk carries text or a tool call."""

    def ended(self) -> Ended | Failed:
        """Judge a stream that ran out: complete, truncated, empty."""

    def failed(self, error: Exception) -> Ended | Failed:
        """Diagnose what interrupted the stream; what comes after the last word did not."""

    async def aclose(self) -> None:
        """Give the connection back; safe to call twice."""


class Provider(Protocol):
    """The way to one kind of model endpoint, in the four call shapes.

    Embeddings and images have two of them: `complete` and `acomplete` do what
    `call.operation` says.
    Failures of the endpoint come back as values, already diagnosed; only bugs
    (ours or the caller's) are raised.
    """

    def complete(self, call: Call, attempt: Attempt) -> Answered | Failed: ...

    async def acomplete(self, call: Call, attempt: Attempt) -> Answered | Failed: ...

    def stream(self, call: Call, attempt: Attempt) -> Source: ...

    def astream(self, call: Call, attempt: Attempt) -> AsyncSource: ...

    def handle(self, attempt: Attempt, asynchronous: bool) -> Any:
        """Return what a decorated function is given for this attempt."""

    def verify_local(self, attempt: Attempt) -> Failed | None:
        """Before somebody else sends a private prompt: fail unless the model is at home."""

    async def averify_local(self, attempt: Attempt) -> Failed | None:
        """As `vouch`."""

    def prepare(self) -> None:
        """Load what the first call needs, before its clocks start: an SDK takes seconds."""


# One attempt, and what stands around it.


class AskedTarget(Protocol):
    """What a provider is told of the target that it asks (`core.target.Target`)."""

    @property
    def name(self) -> str:
        """The target's name."""

    @property
    def model(self) -> str:
        """The model asked for."""

    @property
    def local(self) -> bool:
        """Whether it is proven to be local."""

    @property
    def timeouts(self) -> Timeouts:
        """Its own clocks, as they are configured."""

    @property
    def space(self) -> EmbeddingSpace | None:
        """Where its embeddings lie; None: not said."""

    @property
    def provider(self) -> Provider:
        """Who asks it."""


class AttemptInterceptor(Protocol):
    """Asks in the place of a driver, in the four call shapes; and hears what comes of it.

    The one seam for those who go along with a call, which is telemetry.  It may set the scene
    for the provider's code and look at what comes of it, and it hears of the call's events before
    the listeners do.  It hands everything on unchanged, and raises nothing of its own.
    """

    def hear(self, event: CallEvent) -> None: ...

    def complete(
        self, ask: Callable[[Attempt], Answered | Failed], attempt: Attempt
    ) -> Answered | Failed: ...

    async def acomplete(
        self, ask: Callable[[Attempt], Awaitable[Answered | Failed]], attempt: Attempt
    ) -> Answered | Failed: ...

    def stream(self, ask: Callable[[Attempt], Source], attempt: Attempt) -> Source: ...

    def astream(self, ask: Callable[[Attempt], AsyncSource], attempt: Attempt) -> AsyncSource: ...


class NullInterceptor:
    """No shield: the provider is asked as it is."""

    __slots__ = ()

    def hear(self, event: CallEvent) -> None:
        pass

    def complete(
        self, ask: Callable[[Attempt], Answered | Failed], attempt: Attempt
    ) -> Answered | Failed:
        return ask(attempt)

    async def acomplete(
        self, ask: Callable[[Attempt], Awaitable[Answered | Failed]], attempt: Attempt
    ) -> Answered | Failed:
        return await ask(attempt)

    def stream(self, ask: Callable[[Attempt], Source], attempt: Attempt) -> Source:
        return ask(attempt)

    def astream(self, ask: Callable[[Attempt], AsyncSource], attempt: Attempt) -> AsyncSource:
        return ask(attempt)


NULL_INTERCEPTOR: Final = NullInterceptor()


def _nobody_asks() -> None:
    """Nobody asks when the first token came."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one target, within these limits; the provider's code runs inside `shield`.

    `gather`: the call is unstreamed, and is to be streamed underneath: the provider puts the
    answer together, and calls `heard` when its first token has come.
    """

    target: AskedTarget
    timeouts: Timeouts
    number: int = 0  # 0 for the first try at this target, 1 for its retry
    interceptor: AttemptInterceptor = field(default=NULL_INTERCEPTOR, compare=False, repr=False)
    gather: bool = False
    heard: Callable[[], object] = field(default=_nobody_asks, compare=False, repr=False)
