"""The API key, and strangers' web pages."""

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from pie.core.errors import InvalidArgument
from pie.protocol import SESSION_PATH
from pie.server import ServerSettings, bind
from pie.server.gate import is_loopback
from pie.testing.serving import Served, serve_scripts

KEYED = ServerSettings(api_key="s3cret")


ROUTES = ("/version", "/health", "/v1/models", "/v1/instances", "/v1/programs", "/nope")


@pytest.mark.parametrize("path", ROUTES)
async def test_every_route_needs_the_key_when_there_is_one(path: str) -> None:
    async with serve_scripts(settings=KEYED) as served, httpx.AsyncClient(base_url=served.url) as http:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic s3cret"}):
            answer = await http.get(path, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.json()["error"]["code"] == "unauthorized"
        given = await http.get(path, headers={"authorization": "bearer s3cret"})
        assert given.status_code != 401


async def test_liveness_and_readiness_need_no_key() -> None:
    async with serve_scripts(settings=KEYED) as served, httpx.AsyncClient(base_url=served.url) as http:
        for path in ("/livez", "/readyz"):
            assert (await http.get(path)).status_code == 200


async def test_the_session_needs_the_key() -> None:
    async with serve_scripts(settings=KEYED) as served:
        with pytest.raises(InvalidStatus) as refused:
            await connect(served.url.replace("http", "ws") + SESSION_PATH, proxy=None)
        assert refused.value.response.status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"host": "evil.example:8642"},
        {"host": "127.0.0.1.evil.example"},
    ],
)
async def test_a_strangers_web_page_is_refused(http: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await http.post("/v1/instances", json={"program": "hello"}, headers=headers)
    assert answer.status_code == 403


async def test_a_strangers_web_page_cannot_open_a_session(served: Served) -> None:
    url = served.url.replace("http", "ws") + SESSION_PATH
    with pytest.raises(InvalidStatus) as refused:
        await connect(url, proxy=None, additional_headers={"Origin": "https://evil.example"})
    assert refused.value.response.status_code == 403


async def test_a_web_page_of_this_machine_is_welcome(http: httpx.AsyncClient) -> None:
    for origin in ("http://localhost:3000", "http://127.0.0.1:8642", "http://[::1]:1"):
        assert (await http.get("/version", headers={"origin": origin})).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::", "example.com"])
def test_other_addresses_than_loopback_are_refused_without_a_key(host: str) -> None:
    with pytest.raises(InvalidArgument, match="--insecure"):
        bind(ServerSettings(host=host, port=0))


def test_other_addresses_are_allowed_with_a_key_or_when_asked_for() -> None:
    for settings in (ServerSettings("0.0.0.0", 0, "key"), ServerSettings("0.0.0.0", 0, insecure=True)):
        bind(settings).close()


def test_loopback_is_known_by_number_and_by_name() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "10.0.0.1", "localhost.evil.example", "")))
