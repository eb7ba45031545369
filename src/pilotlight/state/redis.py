"""A board, and accounts, in Redis or Valkey: for a fleet of hosts.  Needs `pilotlight[redis]`.

The board is one hash under one key, and so is each period of a budget; their keys have one hash
tag, so that they stand on one node of a cluster.  An exchange is one script, which runs as one
atomic step by the server's own clock.  Needs Redis 5 or newer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pilotlight.core.spending.shared import Claim, Grant
from pilotlight.state.accounts import KEPT, LATELY
from pilotlight.state.board import LONGEST, Entry, Errand, entries

KEY: Final = "pilotlight:{board}"
BUDGET: Final = KEY + ":budget:"
PATIENCE: Final = 0.25  # seconds for a connection, and for an answer

_SCRIPT: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local board = {}
local raw = redis.call('HGETALL', KEYS[1])
for i = 1, #raw, 2 do
  local written, expires, value = string.match(raw[i + 1], '^(%d+) (%d+) (.*)$')
  if written and tonumber(expires) > now and tonumber(written) <= now + 5000
      and #value <= 4096 and #raw[i] <= 64 then
    board[raw[i]] = {value, tonumber(written), tonumber(expires)}
  else
    redis.call('HDEL', KEYS[1], raw[i])
  end
end
for i = 2, #ARGV, 4 do
  local kind, field, value, lasts = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3])
  local held = board[field] and board[field][1]
  if kind == 'drop' then
    if held == value then
      board[field] = nil
      redis.call('HDEL', KEYS[1], field)
    end
  elseif kind == 'put' or not held or held == value then
    board[field] = {value, now, now + lasts}
    redis.call('HSET', KEYS[1], field, string.format('%.0f %.0f ', now, now + lasts) .. value)
  end
end
if #ARGV > 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
local told = {}
for field, slot in pairs(board) do
  if slot[3] > now then
    told[#told + 1] = field
    told[#told + 1] = slot[1]
    told[#told + 1] = string.format('%.0f', now - slot[2])
    told[#told + 1] = string.format('%.0f', slot[3] - now)
  end
end
return told
"""


class RedisBoard:
    """A hash with a field for each notice; the connection is opened by the first exchange.

    `url` may hold a password: it is never shown.
    """

    def __init__(self, url: str) -> None:
        self._client = _client(url)
        self._script = self._client.register_script(_SCRIPT)

    def exchange(self, errands: Sequence[Errand] = ()) -> Mapping[str, Entry]:
        """See `Board`; raises redis.RedisError or OSError."""
        said: list[Any] = [int(1000 * LONGEST)]
        for each in errands:
            said += [each.kind, each.field, each.value, int(1000 * each.seconds)]
        told = iter(self._script(keys=[KEY], args=said))
        rows = zip(told, told, told, told, strict=True)
        return entries((field, value, _s(age), _s(left)) for field, value, age, left in rows)

    def close(self) -> None:
        """See `Board`."""
        self._client.close()


# `accounts.settled`, in the server's own language; numbers go as texts, for Redis cuts fractions.
_SETTLE: Final = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local worker, number, late = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local told = {}
for i = 1, #KEYS do
  local at = 4 + (i - 1) * 6
  local usd, spent = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local keeps, needs = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local wants, lasts = tonumber(ARGV[at + 4]), ARGV[at + 5]
  local mine = {0, 0, 0}
  local others_spent, others_lent, sharers = 0, 0, 1
  local raw = redis.call('HGETALL', KEYS[i])
  for j = 1, #raw, 2 do
    local row = {}
    for word in string.gmatch(raw[j + 1], '%S+') do row[#row + 1] = tonumber(word) end
    if #row == 4 and row[2] >= 0 and row[2] < 1e300 and row[3] >= 0 and row[3] < 1e300 then
      if raw[j] == worker then
        mine = row
      else
        others_spent, others_lent = others_spent + row[2], others_lent + row[3]
        if now - row[4] < late then sharers = sharers + 1 end
      end
    end
  end
  spent = math.max(spent, mine[2])
  local lent = mine[3]
  if number > mine[1] then
    local left = usd - others_spent - others_lent - spent
    lent = math.max(keeps, math.min(needs, left), math.min(wants, left / 2))
  end
  redis.call('HSET', KEYS[i], worker, string.format('%.0f %.17g %.17g %.6f',
    math.max(number, mine[1]), spent, lent, now))
  redis.call('PEXPIRE', KEYS[i], lasts)
  told[i] = string.format('%.17g %.17g %.17g %.0f', lent, others_spent, others_lent, sharers)
end
return told
"""


class RedisAccounts:
    """A hash for each period of each budget, with a field for each process."""

    def __init__(self, url: str, clock: Callable[[], float] = time.time) -> None:
        """`clock` tells how long a period still lasts."""
        self._client = _client(url)
        self._script = self._client.register_script(_SETTLE)
        self._clock = clock

    def exchange(self, worker: str, number: int, claims: Sequence[Claim]) -> list[Grant]:
        """See `Accounts`; raises redis.RedisError or OSError."""
        said: list[Any] = [worker, number, LATELY]
        for each in claims:
            lasts = int(1000 * (max(0.0, each.ends - self._clock()) + KEPT))
            dollars = (each.usd, each.spent, each.keeps, each.needs, each.wants)
            said += [*map(repr, dollars), lasts]
        keys = [f"{BUDGET}{each.budget}:{each.began:.0f}" for each in claims]
        told = [map(float, each.split()) for each in self._script(keys=keys, args=said)]
        return [
            Grant(lent, spent, elsewhere, int(sharers)) for lent, spent, elsewhere, sharers in told
        ]

    def close(self) -> None:
        """See `Accounts`."""
        self._client.close()


def _client(url: str) -> Any:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return redis.Redis.from_url(
        url,
        socket_timeout=PATIENCE,
        socket_connect_timeout=PATIENCE,
        retry=Retry(NoBackoff(), 0),  # the next look is a second away
        decode_responses=True,
        encoding_errors="replace",
    )


def _s(milliseconds: str) -> float:
    return float(milliseconds) / 1000  # infinity, for a number that others have written
