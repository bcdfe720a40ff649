"""Outbound HTTP: from a request that is allowed to its answer, through every redirect.

A name is looked up once for each request, and once more for each redirect; its addresses are checked and the
connection goes to one of those, so that nobody can change them in between. No proxies, cookies or
passwords from the environment, and no connection is used twice.
"""

import asyncio
import importlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Any

from pie.application.egress_addresses import Address
from pie.application.egress_hosts import HostPattern, Url
from pie.application.egress_messages import Answer, Request, follow
from pie.application.egress_policy import Policy
from pie.application.egress_settings import EgressSettings
from pie.core.errors import LimitExceeded, Unreachable

Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]
"""(host, port) -> its addresses, best first. Raises `OSError`."""
Grow = Callable[[int], None]
"""Told how many bytes more are held; raises where they are too many."""

RESOLVERS = 8
"""Names looked up at a time."""
MOST_ADDRESSES = 8
WIRE = "pie.application.egress_wire"
"""Loaded with the first request: most programs make none."""


class Egress:
    """Of one server. `close` cancels what still runs."""

    def __init__(
        self, settings: EgressSettings, resolve: Resolve | None = None, trust: ssl.SSLContext | None = None
    ) -> None:
        """`resolve` and `trust` (whose certificates count) are for tests; else they are this machine's."""
        self.settings = settings
        self.policy = Policy(settings.hosts, settings.private_hosts)
        self._threads = ThreadPoolExecutor(RESOLVERS, "pie-resolver")
        self._resolve = resolve or self._look_up
        self._trust = trust
        self._wire: Any = None
        self._slots = asyncio.Semaphore(settings.connections)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def fetch(
        self, request: Request, hosts: Sequence[HostPattern] | None, grow: Grow
    ) -> tuple[Answer, Url]:
        """The final answer and where it came from. `hosts`: what the program's launch allows."""
        async with self._slots:
            for _ in range(self.settings.redirects + 1):
                self.policy.check_host(request.url, hosts)
                answer = await self._exchange(request, grow)
                if answer.location is None:
                    return answer, request.url
                request = follow(request, answer.status, answer.location)
        raise LimitExceeded(f"more than {self.settings.redirects} redirects, the last one to {request.url}")

    async def _exchange(self, request: Request, grow: Grow) -> Answer:
        addresses = await self._addresses(request.url)
        self.policy.check_addresses(request.url, addresses)
        if self._wire is None:
            self._wire = importlib.import_module(WIRE)
        if self._trust is None and request.url.scheme == "https":
            self._trust = await asyncio.to_thread(self._wire.make_trust)
        most = self.settings.response_bytes
        answer: Answer = await self._wire.exchange(request, addresses, self._trust, most, grow)
        return answer

    async def _addresses(self, url: Url) -> Sequence[Address]:
        try:
            return [ip_address(url.host)]
        except ValueError:
            return await self._addresses_of_name(url)

    async def _addresses_of_name(self, url: Url) -> Sequence[Address]:
        try:
            return (await self._resolve(url.host, url.port))[:MOST_ADDRESSES]
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or error
            raise Unreachable(f"the name {url.host} cannot be looked up: {why}") from None

    async def _look_up(self, host: str, port: int) -> list[Address]:
        found = await asyncio.get_running_loop().run_in_executor(self._threads, _addresses_here, host, port)
        return list(dict.fromkeys(ip_address(each[4][0]) for each in found))


def _addresses_here(host: str, port: int) -> list[Any]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
