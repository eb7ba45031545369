"""One contestant in a process of its own: reads jobs, answers with what its caller got.

    python -m benchmarks.peer_worker langchain

A job is a line of JSON: `{"primary": URL, "backup": URL, "stream": false}`.  The
answer is one too: `{"text": ..., "error": null}`.  Everybody gets one second for
each attempt and no retries of the SDK's, unless the job has a `setup`.  It runs in the
peers' environment, so it imports nothing of pilotlight's but for pilotlight itself.
"""

from __future__ import annotations

import json
import sys
import warnings
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from benchmarks.contestants import CONTESTANTS, Contestant, Setup


def judge(contestant: Contestant, stream: bool) -> dict[str, Any]:
    """Return what the caller got: text, or an error with the text that came before it."""
    said: list[str] = []
    error = None
    try:
        if stream:
            contestant.stream(said)  # what came before an error stays
        else:
            said.append(contestant.ask())
    except Exception as raised:
        error = type(raised).__name__
    return {"text": "".join(said), "error": error}


def main() -> int:
    """Work through the jobs on standard input."""
    warnings.simplefilter("ignore")
    make = CONTESTANTS[sys.argv[1]]
    client = lru_cache(maxsize=1)(make)
    out, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    print(json.dumps({name: version(name) for name in make.packages}), file=out, flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        setup = Setup(**job.get("setup", {}))
        got = judge(client(job["primary"], job["backup"], setup), job["stream"])
        print(json.dumps(got), file=out, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
