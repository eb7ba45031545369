"""LangChain's cache, kept free of what a fallback has said.

The base class caches an answer under the key of the model that was asked, whoever gave it: the
fallback's would still be served when the primary is long back.
"""

from __future__ import annotations

from typing import Any

from langchain_core.caches import RETURN_VAL_TYPE, BaseCache
from langchain_core.globals import get_llm_cache

from langchain_pilotlight._convert import KEY


def only_of_the_first(cache: BaseCache | bool | None) -> BaseCache | bool | None:
    """Return a cache that keeps the first model's answers only; `cache` as the base takes it."""
    if cache is False or isinstance(cache, OnlyOfTheFirst):
        return cache
    return OnlyOfTheFirst(cache)


class OnlyOfTheFirst(BaseCache):
    """A cache in front of the given one, or of LangChain's global one."""

    def __init__(self, given: BaseCache | bool | None) -> None:
        self._given = given

    @property
    def _cache(self) -> BaseCache | None:
        if isinstance(self._given, BaseCache):
            return self._given
        found = get_llm_cache()
        if found is None and self._given:
            raise ValueError("cache=True, but no cache is set; call set_llm_cache first")
        return found

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """Look it up."""
        cache = self._cache
        return None if cache is None else cache.lookup(prompt, llm_string)

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Keep it, unless a fallback has said it."""
        if (cache := self._cache) is not None and not _failed_over(return_val):
            cache.update(prompt, llm_string, return_val)

    async def alookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """As `lookup`."""
        cache = self._cache
        return None if cache is None else await cache.alookup(prompt, llm_string)

    async def aupdate(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """As `update`."""
        if (cache := self._cache) is not None and not _failed_over(return_val):
            await cache.aupdate(prompt, llm_string, return_val)

    def clear(self, **kwargs: Any) -> None:
        """Clear it."""
        if (cache := self._cache) is not None:
            cache.clear(**kwargs)


def _failed_over(generations: RETURN_VAL_TYPE) -> bool:
    messages = [getattr(generation, "message", None) for generation in generations]
    told = [getattr(message, "response_metadata", {}).get(KEY) or {} for message in messages]
    return any(each.get("failed_over") for each in told)
