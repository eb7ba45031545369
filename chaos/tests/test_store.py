"""The stores that experiments break: each is held, lost and mended as the product sees it."""

import shutil
from contextlib import closing

import pytest
from pilotlight.state.board import put
from pilotlight.state.url import open_board, parse_state

from pilotlight_chaos.lab.setting import SettingError, read
from pilotlight_chaos.lab.store import make_store

REDIS = shutil.which("redis-server") or shutil.which("valkey-server")
KINDS = [
    "sqlite",
    pytest.param("redis", marks=pytest.mark.skipif(REDIS is None, reason="no redis-server")),
]


@pytest.fixture(params=KINDS)
def store(request):
    if request.param == "redis":
        pytest.importorskip("redis")
    with closing(make_store(request.param)) as made:
        yield made


def exchange(store):
    with closing(open_board(parse_state(store.url))) as board:
        return dict(board.exchange([put("a", "1", 60)]))


def look(store):
    with closing(open_board(parse_state(store.url))) as board:
        return dict(board.exchange())


@pytest.mark.parametrize("harm", ["hold", "lose"])
def test_it_answers_nobody_until_it_is_mended(store, harm):
    assert set(exchange(store)) == {"a"}
    getattr(store, harm)()
    for ask in (exchange, look):
        with pytest.raises(Exception, match=r"locked|not a database|Timeout|refused|reset|closed"):
            ask(store)
    store.mend()
    assert set(look(store)) == ({"a"} if harm == "hold" else set()), "lost is lost"
    assert set(exchange(store)) == {"a"}


def test_held_then_lost_then_mended(store):
    exchange(store)
    store.hold()
    store.lose()
    store.mend()
    store.mend()  # as the rollback does
    assert set(exchange(store)) == {"a"}


def test_an_unknown_kind_is_told():
    with pytest.raises(SettingError, match="it can be: none, sqlite, redis"):
        read({"store": "mysql"})
