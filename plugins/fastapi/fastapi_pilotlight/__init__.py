"""pilotlight in a FastAPI application: dependency, lifespan, streams, status, error handlers."""

from __future__ import annotations

from fastapi_pilotlight.application import UseRoute, lifespan, setup
from fastapi_pilotlight.streaming import stream_response

__all__ = ["UseRoute", "lifespan", "setup", "stream_response"]
