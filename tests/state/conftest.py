"""A real Redis for the tests that want one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

from loopback_redis import SERVER, RedisServer  # noqa: E402


@pytest.fixture
def redis_server(tmp_path):
    if SERVER is None:
        pytest.skip("no redis-server on PATH")
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()
