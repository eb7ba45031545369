"""A board in Redis or Valkey: for a fleet of hosts.  Needs the extra: `pilotlight[redis]`.

All of it is one hash under one key, with a hash tag, so that it stands on one node of a
cluster.  An exchange is one script, which runs as one atomic step by the server's own clock.
Needs Redis 5 or newer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pilotlight.state.board import LONGEST, Entry, Errand, entries

KEY: Final = "pilotlight:{board}"
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
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        self._client: Any = redis.Redis.from_url(
            url,
            socket_timeout=PATIENCE,
            socket_connect_timeout=PATIENCE,
            retry=Retry(NoBackoff(), 0),  # the next look is a second away
            decode_responses=True,
            encoding_errors="replace",
        )
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


def _s(milliseconds: str) -> float:
    return float(milliseconds) / 1000  # infinity, for a number that others have written
