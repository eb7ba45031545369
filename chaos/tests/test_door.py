"""A door that is closed while somebody comes in."""

import asyncio
import gc
import socket
import ssl
import warnings
from contextlib import closing, suppress

import pytest

from pilotlight_chaos.door import Door, bind
from pilotlight_chaos.http import reset
from pilotlight_chaos.service import Service, Settings


async def come_in_and_close(rounds: int) -> None:
    """Close the door so many rounds of the loop after a client's coming."""
    door = Door(Service(Settings()), bind(0))
    await door.open()
    with closing(socket.create_connection(("127.0.0.1", door.port))) as client:
        for _ in range(rounds):
            await asyncio.sleep(0)
        await door.close()
        client.setblocking(False)
        with pytest.raises(ConnectionError):  # reset, as when a process has died
            async with asyncio.timeout(10):
                await asyncio.get_running_loop().sock_recv(client, 1)


@pytest.mark.parametrize("rounds", range(6))
def test_no_connection_is_left_open(rounds):
    """Accepting takes asyncio several rounds: at none of them a socket is forgotten."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        asyncio.run(come_in_and_close(rounds))
        gc.collect()
    assert not [str(each.message) for each in seen]


async def close_and_reset(url: str, closes: int) -> None:
    _, _, port = url.rpartition(":")
    context = None
    if url.startswith("https"):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", int(port), ssl=context)
    for _ in range(closes):
        writer.close()
    reset(writer)
    with suppress(OSError):
        await writer.wait_closed()


@pytest.mark.parametrize("closes", range(3))
@pytest.mark.parametrize("tls", [False, True])
def test_a_connection_may_be_reset_that_is_closed(server, tls, closes):
    """A transport of TLS that is closed twice knows no socket any more, nor says so politely."""
    url = server.broken_base("openai", "tls") if tls else server.url
    asyncio.run(close_and_reset(url.partition("/p/")[0].rstrip("/"), closes))
