"""`guard_embeddings`: embeddings with failover, never across embedding spaces."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final, cast

from langchain_core.embeddings import Embeddings

from langchain_pilotlight._errors import langchain_errors
from langchain_pilotlight._road import free_name
from langchain_pilotlight._vendors import can_be_held, held, identity, marks, unchanged, wired
from pilotlight import BreakerPolicy, ConfigError, ProviderFault, Route
from pilotlight.extension import (
    Adapter,
    Answered,
    AnswerView,
    Attempt,
    Call,
    CallContext,
    Endpoint,
    Facts,
    Failed,
    Target,
    acomplete,
    complete,
    is_private,
)

Vectors = list[list[float]]
_THERE: Final = AnswerView(choices=1, other_content=True)
_MISSING: Final = AnswerView(choices=0)


def guard_embeddings(
    primary: Embeddings,
    fallback: Embeddings | Sequence[Embeddings] = (),
    *,
    space: str = "",
    breaker: BreakerPolicy | None = None,
    total_timeout: float | None = None,
    private: bool = False,
) -> GuardedEmbeddings:
    """Return embeddings that ask `primary`, and `fallback` (one or several) when it is out.

    Two embedding models never share a space, even at the same dimension: a vector of the
    other poisons an index without a word.  So a fallback must be the same open model at
    another address, and `space` is where you say so, by any name (`space="bge-m3"`).
    Every vector must have the dimension of the first that was seen; an answer with another
    is refused.  Without a fallback: a circuit breaker, and a fast failure.

    Raises ConfigError for a fallback without `space`; calls raise as a guarded model's do.
    """
    others = (fallback,) if isinstance(fallback, Embeddings) else tuple(fallback)
    if others and not space:
        raise ConfigError(
            "guard_embeddings has a fallback and no space=: name the embedding space that all "
            'of them share, such as space="bge-m3"; different models never do'
        )
    return GuardedEmbeddings((primary, *others), space, breaker, total_timeout, private=private)


class GuardedEmbeddings(Embeddings):
    """Embeddings of one space, on pilotlight's road; made by `guard_embeddings`."""

    def __init__(
        self,
        models: Sequence[Embeddings],
        space: str = "",
        breaker: BreakerPolicy | None = None,
        total_timeout: float | None = None,
        *,
        private: bool = False,
    ) -> None:
        self.space = space
        self.dimension: int | None = None  # of the first vector that was seen
        self._models = tuple(models)
        self._breaker = breaker
        self._deadline = total_timeout
        self._private = private
        self._make()

    def _make(self) -> None:
        """Make the route to the models as they are now."""
        self._marks = tuple(map(marks, self._models))
        targets: list[Target] = []
        for model in self._models:
            targets.append(self._target(model, [each.name for each in targets]))
        self._route = Route(
            f"embeddings {self.space}".strip(),
            tuple(targets),
            total_timeout=self._deadline,
            private=self._private,
        )

    def _ctx(self, texts: list[str], *, query: bool, private: bool) -> CallContext:
        if not all(map(unchanged, self._models, self._marks)):
            self._make()
        return self._route.journey(_messages(texts), {"query": query}, private=private)

    def embed_documents(self, texts: list[str]) -> Vectors:
        """Return a vector for each text."""
        return self._embed(texts, query=False)

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a question."""
        return self._embed([text], query=True)[0]

    # Plain functions: a call is private from the moment it is made, wherever it is awaited.

    def aembed_documents(self, texts: list[str]) -> Coroutine[Any, Any, Vectors]:
        """Return a vector for each text."""
        return self._aembed(texts, query=False, private=is_private())

    def aembed_query(self, text: str) -> Coroutine[Any, Any, list[float]]:
        """Return the vector of a question."""
        return self._aembed_one(text, private=is_private())

    async def _aembed_one(self, text: str, *, private: bool) -> list[float]:
        return (await self._aembed([text], query=True, private=private))[0]

    def _embed(self, texts: list[str], *, query: bool) -> Vectors:
        if not texts:
            return []
        with langchain_errors():
            vectors, _ = complete(self._ctx(texts, query=query, private=False))
        return self._kept(vectors)

    async def _aembed(self, texts: list[str], *, query: bool, private: bool) -> Vectors:
        if not texts:
            return []
        with langchain_errors():
            vectors, _ = await acomplete(self._ctx(texts, query=query, private=private))
        return self._kept(vectors)

    def _kept(self, vectors: Vectors) -> Vectors:
        self.dimension = self.dimension or len(vectors[0])
        return vectors

    def fits(self, vectors: Vectors) -> bool:
        """Tell whether every vector has the dimension of the space."""
        wanted = self.dimension or len(vectors[0])
        return all(len(vector) == wanted for vector in vectors)

    def _target(self, model: Embeddings, taken: Sequence[str]) -> Target:
        whom = identity(model)
        endpoint = Endpoint(
            free_name(whom.model, taken), whom.model, api_base=whom.base_url, api_key=whom.api_key
        )
        provider = EmbeddingProvider(model, endpoint, self.fits)
        make = partial(endpoint.target, provider, breaker=self._breaker)
        target = make(provable=can_be_held(model))
        return target if not target.local or provider.settle() else make(provable=False)


def _messages(texts: Sequence[str]) -> list[dict[str, str]]:
    return [{"role": "user", "content": text} for text in texts]


class EmbeddingProvider(Adapter):
    """Asks one embedding model."""

    def __init__(
        self, model: Embeddings, endpoint: Endpoint, fits: Callable[[Vectors], bool]
    ) -> None:
        self.model = model
        self._endpoint = endpoint
        self._fits = fits
        self._ready: Embeddings | None = None
        self._at_home: Embeddings | None = None

    def settle(self) -> bool:
        """Make the copy for private calls, and tell whether there can be one."""
        self._at_home = cast("Embeddings | None", held(self.model, self._endpoint))
        return self._at_home is not None

    def prepare(self) -> None:
        """Make the copy that does not retry by itself, over the clients that listen."""
        if self._ready is None:
            self._ready = cast("Embeddings", wired(self.model, self._endpoint))

    def complete(self, call: Call, attempt: Attempt) -> Answered | Failed:
        """Ask once."""
        record = self._endpoint.record(call, attempt)
        if (away := record.verify_local()) is not None:
            return away
        try:
            with record:
                vectors = self._asked(call, "embed_query", "embed_documents")()
                vectors = [vectors] if call.options["query"] else vectors
            self._check(call, vectors, attempt)
        except Exception as error:
            return record.failed(error)
        return record.answered(vectors, _THERE if vectors else _MISSING, Facts())

    async def acomplete(self, call: Call, attempt: Attempt) -> Answered | Failed:
        """Ask once, without blocking the event loop."""
        import asyncio

        record = self._endpoint.record(call, attempt)
        if (away := await record.averify_local()) is not None:
            return away
        try:
            with record:
                async with asyncio.timeout(attempt.timeouts.total):
                    vectors = await self._asked(call, "aembed_query", "aembed_documents")()
                vectors = [vectors] if call.options["query"] else vectors
            self._check(call, vectors, attempt)
        except Exception as error:
            return record.failed(error)
        return record.answered(vectors, _THERE if vectors else _MISSING, Facts())

    def _asked(self, call: Call, query: str, documents: str) -> Callable[[], Any]:
        texts = [message["content"] for message in call.messages]
        if not call.private:
            self.prepare()
        model = self._at_home if call.private else self._ready
        assert model is not None, "a private call asks local targets, and those are settled"
        if call.options["query"]:
            return partial(getattr(model, query), texts[0])
        return partial(getattr(model, documents), texts)

    def _check(self, call: Call, vectors: Vectors, attempt: Attempt) -> None:
        """Refuse what is not a vector for each text, or lives in another space."""
        sound = len(vectors) == len(call.messages) and all(vectors)
        if not sound or not self._fits(vectors):
            raise ProviderFault(
                "malformed_response", attempt.target.name, "vectors of another dimension or number"
            )
