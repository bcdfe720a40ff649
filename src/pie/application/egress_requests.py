"""The HTTP requests of one program: futures, counted and bounded."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pie.application.egress import Egress
from pie.application.egress_hosts import HostPattern, parse_url
from pie.application.egress_messages import Answer, Request, check_headers
from pie.application.futures import Future
from pie.application.hoard import Hoard
from pie.core.errors import InvalidArgument, LimitExceeded, PieError, Timeout


class Header(NamedTuple):
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Response:
    """The contract's record `response`."""

    status: int
    url: str
    headers: list[Header]
    body: str
    """Bytes as characters of Latin-1."""


def _freely(count: int) -> None:
    """Nobody counts."""


class Requests:
    """Whoever drops the future of a request cancels it. `hosts`: what the program's launch allows."""

    def __init__(
        self,
        egress: Egress,
        hosts: Sequence[HostPattern] | None,
        hoard: Hoard,
        spend: Callable[[int], None] = _freely,
    ) -> None:
        """`spend` is told of bytes before they are sent, and raises where those are too many."""
        settings = egress.settings
        self.bytes_out = 0
        self.bytes_in = 0
        self.egress = egress
        self.hosts = hosts
        self.hoard = Hoard(settings.held_bytes_each, hoard)
        self.slots = asyncio.Semaphore(settings.connections_each)
        self.seconds = settings.seconds
        self.open = 0
        """Requests that wait or run, or whose answers nobody has taken."""
        self._most_open = settings.requests_each
        self._spend = spend

    def start(self, method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes = b"") -> Future:
        """Completes with its `Fetch`. Raises what is wrong with the request itself, and `NotPermitted`."""
        request = Request(method, parse_url(url), check_headers(headers), body)
        self.egress.policy.check_host(request.url, self.hosts)
        if self.open >= self._most_open:
            raise LimitExceeded(f"{self.open} requests are open, as many as allowed: await some of them")
        self._spend(request.size())
        self.hoard.grow(len(body))
        self.bytes_out += request.size()
        return Fetch(self, request).future

    @staticmethod
    def take(future: Future) -> Response:
        """The answer, once. Raises what went wrong."""
        fetch = future.result()
        if not isinstance(fetch, Fetch):
            raise InvalidArgument("this future has no response (any more)")
        future.value = None
        return fetch.take()


class Fetch:
    """One request, from its start until its answer has been taken or dropped."""

    def __init__(self, mine: Requests, request: Request) -> None:
        mine.open += 1
        self.future = Future(self._dropped)
        self._mine = mine
        self._held = len(request.body)
        self._over = False
        self._response: Response | None = None
        self._task = mine.egress.start(self._run(request))

    def take(self) -> Response:
        self._end()
        response, self._response = self._response, None
        if response is None:
            raise InvalidArgument("the response has been taken already")
        return response

    async def _run(self, request: Request) -> None:
        try:
            self._response = await self._fetch(request)
        except PieError as error:
            self._fail(error)
        except Exception as fault:  # a bug of ours: the host call that reads the future reports it
            self._fail(fault)
        else:
            self.future.resolve(self)

    async def _fetch(self, request: Request) -> Response:
        mine = self._mine
        try:
            async with asyncio.timeout(mine.seconds), mine.slots:
                answer, url = await mine.egress.fetch(request, mine.hosts, self._grow)
        except TimeoutError:
            raise Timeout(f"{request.url.host} did not answer in full within {mine.seconds:g} s") from None
        mine.bytes_in += answer.received
        return _response(answer, str(url))

    def _grow(self, count: int) -> None:
        self._mine.hoard.grow(count)
        self._held += count

    def _fail(self, error: Exception) -> None:
        self._end()
        self.future.fail(error)

    def _dropped(self, future: Future) -> None:
        del future
        self._task.cancel()
        self._end()

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._mine.open -= 1
            self._mine.hoard.shrink(self._held)


def _response(answer: Answer, url: str) -> Response:
    headers = [Header(name, value) for name, value in answer.headers]
    return Response(answer.status, url, headers, answer.body.decode("latin-1"))
