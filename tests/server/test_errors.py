"""Every answer that is no success has one shape, and every class of errors one status."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from pie.core import errors
from pie.server import ServerSettings
from pie.server.errors import ANSWERS, answer_for, error_body
from pie.testing.serving import Served, serve_scripts

SHAPE = {"message", "type", "param", "code"}


def all_errors(base: type[errors.PieError] = errors.PieError) -> list[type[errors.PieError]]:
    return [base, *(found for child in base.__subclasses__() for found in all_errors(child))]


@pytest.mark.parametrize("kind", all_errors())
def test_every_error_of_pie_has_a_status_and_says_who_must_act(kind: type[errors.PieError]) -> None:
    error = kind.__new__(kind)
    assert 400 <= answer_for(error).status < 600
    assert error_body(error).type in {"caller_error", "guest_error", "operator_error", "internal_error"}


def test_errors_that_pass_by_themselves_say_when_to_come_back() -> None:
    for kind in (errors.OutOfResources, errors.Unavailable):
        assert ANSWERS[kind].retry_after is not None


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nope", 404), ("PUT", "/v1/instances", 405)])
async def test_unknown_routes_and_methods_answer_in_the_same_shape(
    http: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await http.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == SHAPE


async def test_a_body_that_is_not_json_is_a_bad_request(http: httpx.AsyncClient) -> None:
    deep = b'{"program":' + b"[" * 100_000
    for content in (b"{", b"\xff", b'{"program": "\xff"}', b"[]", b"", deep):
        answer = await http.post("/v1/instances", content=content)
        assert answer.status_code == 400
        assert set(answer.json()["error"]) == SHAPE


async def test_a_bug_is_answered_in_the_same_shape_and_names_the_request(
    served: Served, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(served.application, "instances", broken)
    answer = await http.get("/v1/instances", headers={"x-request-id": "mine"})
    assert answer.status_code == 500
    assert "mine" in answer.json()["error"]["message"]
    assert "secret" not in answer.text


async def test_every_answer_has_a_request_id_the_clients_own_if_it_is_usable(http: httpx.AsyncClient) -> None:
    assert (await http.get("/nope", headers={"x-request-id": "abc-1"})).headers["x-request-id"] == "abc-1"
    for unusable in ("", "a b", "x" * 200):
        made = (await http.get("/livez", headers={"x-request-id": unusable})).headers["x-request-id"]
        assert made not in ("", unusable)


SMALL = ServerSettings(body_bytes=100, component_bytes=100, stall_seconds=0.05)


async def test_bodies_are_bounded_whether_or_not_they_say_their_length() -> None:
    async def unsized() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 10

    async with serve_scripts(settings=SMALL) as served, httpx.AsyncClient(base_url=served.url) as http:
        for path in ("/v1/programs", "/v1/instances"):
            for content in (b"x" * 101, unsized()):
                answer = await http.post(path, content=content)
                assert answer.status_code == 413
                assert answer.json()["error"]["code"] == "limit_exceeded"
        assert (await http.post("/v1/programs", content=b"x" * 100)).status_code == 201


async def test_a_body_that_stops_arriving_is_given_up() -> None:
    async with serve_scripts(settings=SMALL) as served:
        host, port = served.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /v1/instances HTTP/1.1\r\nhost: localhost\r\ncontent-length: 50\r\n\r\n{")
        assert b" 504 " in await reader.readline()
        writer.close()
        await writer.wait_closed()
