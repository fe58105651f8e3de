"""Clients who are slow or greedy, all from one address: ``python -m e2e.crowd PORT SECONDS KIND...``.

Whoever is hung up on comes again. A process of its own, which gives way to all others: a real crowd has machines of its
own. It says with an empty line that all have been there.
"""

import asyncio
import contextlib
import os
import resource
import socket
import sys
from dataclasses import dataclass

CLIENTS = 2000
PAUSE = {"slow": 0.5, "fast": 0.01}
"""Seconds after which a client sends again; the fast ones do so without a pause as far as this process can."""

RETURN = 2.0
"""Seconds after which a client that was hung up on comes again."""

READ = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n"
LOGIN = b"POST /api/v1/auth/login HTTP/1.1\r\n"
PING = b"GET /api/v1/ping HTTP/1.1\r\n"
BODY = b"Host: x\r\nContent-Type: application/json\r\n"


@dataclass(frozen=True)
class Kind:
    """What a client sends first, and then again and again, and whether it does so without a pause."""

    head: bytes
    data: bytes
    fast: bool = False


KINDS = {
    "silent": Kind(b"", b""),
    "slow heads": Kind(PING + b"X: ", b"x"),
    "slow bodies": Kind(LOGIN + BODY + b"Content-Length: 60000\r\n\r\n", b" "),
    "slow chunks": Kind(LOGIN + BODY + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "no readers": Kind(READ, READ),
    "fast chunks": Kind(PING + BODY + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nA\r\n" * 500, fast=True),
    "fast bodies": Kind(
        LOGIN + BODY + b"Transfer-Encoding: chunked\r\n\r\n",
        b"1\r\n \r\n" * 500,
        fast=True,
    ),
    "huge bodies": Kind(PING + BODY + b"Content-Length: 99999999999\r\n\r\n", b"x" * 8192, fast=True),
}


async def client(port: int, kind: Kind, arrived: list[None], complete: asyncio.Event) -> None:
    """Come again and again until it is cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        with contextlib.suppress(OSError), socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            connection.setblocking(False)
            await loop.sock_connect(connection, ("127.0.0.1", port))
            arrived.append(None)
            number = len(arrived)
            if kind.fast:
                # Otherwise the first ones would leave this process no time to let the others come.
                await complete.wait()
                # Two thousand requests in one millisecond are a second of work, for whatever server.
                await asyncio.sleep(number % 100 / 100 * RETURN)
            await loop.sock_sendall(connection, kind.head)
            while kind.data:
                await asyncio.sleep(PAUSE["fast" if kind.fast else "slow"])
                await loop.sock_sendall(connection, kind.data)
            await loop.sock_recv(connection, 1)
        await asyncio.sleep(RETURN)


async def main(port: int, seconds: float, kinds: list[str]) -> None:
    """Send them all, spread over a second, and say so with an empty line; they stay for so many seconds."""
    arrived: list[None] = []
    complete = asyncio.Event()
    tasks = []
    for number in range(CLIENTS):
        tasks.append(asyncio.create_task(client(port, KINDS[kinds[number % len(kinds)]], arrived, complete)))
        if number % 20 == 0:
            await asyncio.sleep(0.01)
    while len(arrived) < CLIENTS:  # noqa: ASYNC110 - an event would be longer
        await asyncio.sleep(0.01)
    complete.set()
    sys.stdout.write("\n")
    sys.stdout.flush()
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    os.nice(19)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
