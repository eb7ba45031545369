"""Settings: lazily used, followed when they change, and nothing started before a call."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from django.test import override_settings

import django_pilotlight
from django_pilotlight import current_app, state
from django_pilotlight.calls import llm
from pilotlight import ConfigError

ONE = {"ROUTES": {"default": {"targets": ["ollama/one"], "total_timeout": 7}}}
TWO = {"ROUTES": {"default": {"targets": ["ollama/two"]}}}


def test_public_names_are_there():
    assert all(getattr(django_pilotlight, name) for name in django_pilotlight.__all__)


def test_a_model_in_a_route_becomes_a_target():
    with override_settings(PILOTLIGHT=ONE):
        assert current_app.app().target("ollama/one").model == "ollama/one"
        assert llm().route.total_timeout == 7


def test_it_is_made_once_and_follows_override_settings():
    with override_settings(PILOTLIGHT=ONE):
        first = current_app.app()
        assert current_app.app() is first
        with override_settings(PILOTLIGHT=TWO):
            assert list(current_app.app().targets) == ["ollama/two"]
        assert list(current_app.app().targets) == ["ollama/one"]
        with override_settings(USE_TZ=False):
            assert current_app.app() is not first


@pytest.mark.parametrize("loaded_first", [True, False])
def test_who_wants_to_know_is_told_of_each_one_made(loaded_first):
    holder, made = current_app.Holder(), []
    steps = [holder.app, lambda: holder.when_loaded(lambda: made.append("made"))]
    with override_settings(PILOTLIGHT=ONE):
        for step in steps if loaded_first else reversed(steps):
            step()
        assert made == ["made"]
        holder.reset()
        holder.app()
        assert made == ["made", "made"]
        holder.reset()


def test_the_cores_own_file(tmp_path):
    file = tmp_path / "pilotlight.toml"
    file.write_text('[targets.a]\nmodel = "ollama/a"\n[routes.chat]\ntargets = ["a"]\n')
    with override_settings(PILOTLIGHT={"LOG_EVENTS": False}, PILOTLIGHT_CONFIG=file):
        assert llm().route.name == "chat"


def test_an_error_is_raised_at_the_call_and_not_before():
    with override_settings(PILOTLIGHT=ONE):
        calls = llm("nobody")
        with pytest.raises(ConfigError, match="unknown route 'nobody'"):
            calls.complete([{"role": "user", "content": "x"}])


SETUP = """
import threading, sys, os
import django
before = set(threading.enumerate())
django.setup()
from django.core.checks import run_checks
assert "pilotlight" not in sys.modules, "setup imports the core"
run_checks()
assert set(threading.enumerate()) == before, threading.enumerate()
assert "litellm" not in sys.modules
import pilotlight
assert pilotlight.listeners == []
"""


def test_setup_and_checks_start_nothing():
    import os

    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "testapp.settings",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
    }
    done = subprocess.run(
        [sys.executable, "-c", SETUP], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_many_first_calls_make_one():
    made = []
    with override_settings(PILOTLIGHT=ONE):
        gate = threading.Barrier(8)

        def first():
            gate.wait()
            made.append(current_app.app())

        threads = [threading.Thread(target=first) for _ in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert len(made) == 8
    assert len(set(map(id, made))) == 1


REDIS = "django.core.cache.backends.redis.RedisCache"
CACHES = {
    "redis": {"BACKEND": REDIS, "LOCATION": "redis://127.0.0.1:6379/1"},
    "several": {"BACKEND": REDIS, "LOCATION": ["redis://one:6379", "redis://two:6379"]},
    "joined": {"BACKEND": REDIS, "LOCATION": "redis://one:6379;redis://two:6379"},
    "login": {
        "BACKEND": REDIS,
        "LOCATION": "redis://one:6379",
        "OPTIONS": {"username": "ann", "password": "p&w", "db": 3, "socket_timeout": 2},
    },
    "own db": {"BACKEND": REDIS, "LOCATION": "redis://one/5", "OPTIONS": {"db": 3}},
    "tls": {
        "BACKEND": REDIS,
        "LOCATION": "rediss://one?ssl_check_hostname=false",
        "OPTIONS": {"ssl_cert_reqs": "none"},
    },
    "pool": {"BACKEND": REDIS, "LOCATION": "redis://one", "OPTIONS": {"pool_class": "my.Pool"}},
    "locmem": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "file": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": "x"},
    "db": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "x"},
    "memcached": {"BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache"},
    "dummy": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
    "other": {"BACKEND": "somebody.elses.Cache"},
}


@pytest.mark.parametrize(
    "given, address",
    [
        ("cache:redis", "redis://127.0.0.1:6379/1"),
        ("cache:several", "redis://one:6379"),
        ("cache:joined", "redis://one:6379"),
        ("cache:login", "redis://one:6379?username=ann&password=p%26w&db=3"),
        ("cache:own db", "redis://one/5"),
        ("cache:tls", "rediss://one?ssl_check_hostname=false&ssl_cert_reqs=none"),
        ("sqlite:///board.db", "sqlite:///board.db"),
        (None, None),
    ],
)
def test_a_redis_cache_lends_its_server(given, address, settings):
    settings.CACHES = CACHES
    assert state.resolve(given) == address


@pytest.mark.parametrize(
    "alias, why",
    [
        ("locmem", "own memory"),
        ("file", "not atomic"),
        ("db", "not atomic"),
        ("memcached", "one step"),
        ("dummy", "keeps nothing"),
        ("other", "not known"),
        ("nobody", "CACHES has no"),
        ("pool", "option 'pool_class'"),
    ],
)
def test_other_caches_are_refused_with_the_reason(alias, why, settings):
    settings.CACHES = CACHES
    with pytest.raises(ConfigError, match=why):
        state.resolve(f"cache:{alias}")


def test_the_caches_options_reach_the_server_and_are_not_shown(settings):
    settings.CACHES = CACHES
    import redis

    from pilotlight.state.url import parse_state

    url = parse_state(state.resolve("cache:login"))
    assert str(url) == "redis://one:6379"
    with redis.Redis.from_url(url.place) as client:
        kept = client.connection_pool.connection_kwargs
        assert (kept["username"], kept["password"], kept["db"]) == ("ann", "p&w", 3)
