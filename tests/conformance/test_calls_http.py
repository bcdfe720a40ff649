"""The trait *http*, call by call, against a server on this machine."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from bench import Bench
from cases import QUEUE, Case, limit, wrong
from puppet import Code, Puppet, Refused

from pie.core.programs import Limits

call = pytest.mark.call
LOCAL = "http://127.0.0.1:1/"
POST = ("http.http-post",)
WRONG = [
    wrong("http.http-get", "ftp://127.0.0.1/", [], says="http"),
    wrong("http.http-get", "no address", [], says="percent-encode"),
    wrong("http.http-get", "http://example.org/", [], kind="not-permitted", says="example.org"),
    wrong("http.http-get", LOCAL, Code("[http.Header('a b', 'x')]"), says="header"),
    limit(
        "http.http-get",
        LOCAL,
        Code("[http.Header('a', 'x' * 100000)]"),
        kind="limit-exceeded",
        says="at most 64 with 16384",
    ),
    wrong("http.http-post", "http://example.org/", [], "", kind="not-permitted", says="example.org"),
    wrong("http.http-post", LOCAL, [], "€", says="one character"),
    limit("http.http-post", LOCAL, [], Code("'x' * ((1 << 20) + 1)"), kind="limit-exceeded", says="split it"),
    wrong("http.take-response", 999, kind="unknown-id", says="future 999"),
]


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_use_is_refused_with_its_reason(puppet: Puppet, case: Case) -> None:
    await case.check(puppet)


@pytest_asyncio.fixture(loop_scope="package")
async def server() -> AsyncIterator[str]:
    """Answers with the request's first line and body."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lengths = [
            line.split(":")[1] for line in head.lower().splitlines() if line.startswith("content-length")
        ]
        body = await reader.readexactly(int(lengths[0])) if lengths else b""
        said = head.splitlines()[0].encode() + b"|" + body
        writer.write(b"HTTP/1.1 200 OK\r\nX-Kind: test\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


@call("http.http-get", "right")
@call("http.http-post", "right")
@call("http.take-response", "right")
@call("http.http-post", "limit")
async def test_a_request_goes_out_and_its_answer_comes_back(puppet: Puppet, server: str) -> None:
    future = await puppet.made("http.http-get", f"{server}/a?b=c", [])
    response = await puppet.call("http.take-response", future)
    assert (response["status"], response["body"]) == (200, "GET /a?b=c HTTP/1.1|")
    assert {"name": "x-kind", "value": "test"} in [
        {"name": each["name"].lower(), "value": each["value"]} for each in response["headers"]
    ]
    future = await puppet.made("http.http-post", f"{server}/", [Code("http.Header('x-a', 'b')")], "\0ÿ")
    assert (await puppet.call("http.take-response", future))["body"] == "POST / HTTP/1.1|\0ÿ"


@call("http.take-response", "wrong")
@call("http.take-response", "limit")
async def test_an_answer_is_taken_once_and_only_from_a_request(puppet: Puppet, server: str) -> None:
    other = await puppet.made("runtime.synchronize", QUEUE)
    with pytest.raises(Refused, match="no response"):
        await puppet.call("http.take-response", other)
    future = await puppet.made("http.http-get", f"{server}/", [])
    await puppet.call("http.take-response", future)
    with pytest.raises(Refused, match="any more"):
        await puppet.call("http.take-response", future)


@call("http.http-get", "wrong")
async def test_a_launch_narrows_the_hosts(bench: Bench, server: str) -> None:
    puppet = await bench.puppet(limits=Limits(hosts=("example.org",)), scene=False)
    with pytest.raises(Refused, match="127"):
        await puppet.call("http.http-get", server, [])


@call("http.http-get", "limit")
async def test_a_server_that_is_not_there_is_an_error_of_the_future(puppet: Puppet) -> None:
    with pytest.raises(Refused):
        await puppet.made("http.http-get", LOCAL, [])
