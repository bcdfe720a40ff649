"""The requests that need no session: listings, uploads, looking at and ending instances."""

from typing import Any

import httpx

from pie.client.address import Address
from pie.client.connection import refusal

SECONDS = httpx.Timeout(30, connect=5)


class Requests:
    """Closed with its owner. Every method raises ServerNotRunning, NotAuthorized or RequestRefused."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._http = httpx.AsyncClient(
            base_url=address.url, headers=address.headers, timeout=SECONDS, trust_env=not address.loopback
        )

    async def get(self, path: str) -> Any:
        return (await self._request("GET", path)).json()

    async def post(self, path: str, content: bytes = b"") -> Any:
        answer = await self._request("POST", path, content)
        return answer.json() if answer.content else None

    async def _request(self, method: str, path: str, content: bytes = b"") -> httpx.Response:
        try:
            answer = await self._http.request(method, path, content=content)
        except httpx.TransportError:
            raise self._address.not_running() from None
        if answer.status_code >= 400:
            retry = answer.headers.get("retry-after", "")
            raise refusal(answer.status_code, answer.content, self._address, retry)
        return answer

    async def close(self) -> None:
        await self._http.aclose()
