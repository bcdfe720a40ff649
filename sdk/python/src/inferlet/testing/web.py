"""The outside world of the fake: what a test says is there."""

from collections.abc import Mapping
from typing import Any

from inferlet.testing.pages import ErrorKind, HostError
from inferlet.testing.records import Header, Response
from inferlet.testing.runtime import FakeRuntime


class FakeWeb:
    """The interface `http`: pages by URL. All else is refused, as by the egress policy."""

    def __init__(self, pages: Mapping[str, str | bytes], runtime: FakeRuntime) -> None:
        self._pages = pages
        self._runtime = runtime
        self.posted: list[tuple[str, bytes]] = []

    def http_get(self, url: str, headers: list[Any]) -> int:  # noqa: ARG002
        return self._runtime.later(self._answer(url))

    def http_post(self, url: str, headers: list[Any], body: str) -> int:  # noqa: ARG002
        self.posted.append((url, body.encode("latin-1")))
        return self._runtime.later(self._answer(url))

    def take_response(self, future: int) -> Response:
        response: Response = self._runtime.take(future)
        return response

    def _answer(self, url: str) -> Response:
        if url not in self._pages:
            message = f"{url} is not allowed: give it to the fake host in `web`"
            raise HostError(ErrorKind.NOT_PERMITTED, message)
        body = self._pages[url]
        body = body.encode() if isinstance(body, str) else body
        return Response(200, url, [Header("content-length", str(len(body)))], body.decode("latin-1"))
