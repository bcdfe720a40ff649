"""Outbound HTTP against a real server on this machine: what is allowed works, and what attacks is stopped."""

import asyncio
import gzip
import ssl
import zlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from ipaddress import ip_address

import pytest
from web import Asked, Web, serve_web, trust

from pie.application.egress import Egress
from pie.application.egress_addresses import Address
from pie.application.egress_hosts import parse_patterns
from pie.application.egress_requests import Requests, Response
from pie.application.egress_settings import EgressSettings
from pie.application.futures import Future
from pie.application.hoard import Hoard
from pie.core.errors import InvalidArgument, LimitExceeded, NotPermitted, PieError, Timeout, Unreachable

HERE = EgressSettings(private_hosts=parse_patterns(["127.0.0.1:*", "*.test:*"]))
BOMB = 16 << 20


class Names:
    """A resolver that counts, and may answer differently each time."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        del port
        self.asked.append(host)
        return [ip_address(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])]


class Program:
    """As much of a program as makes requests."""

    def __init__(
        self,
        settings: EgressSettings = HERE,
        hosts: Sequence[str] | None = None,
        names: Names | None = None,
        trusted: ssl.SSLContext | None = None,
    ) -> None:
        self.egress = Egress(settings, names, trusted)
        self.hoard = Hoard(settings.held_bytes)
        self.requests = self.another(hosts)

    def another(self, hosts: Sequence[str] | None = None) -> Requests:
        return Requests(self.egress, None if hosts is None else parse_patterns(hosts), self.hoard)

    async def get(self, url: str, **headers: str) -> Response:
        return await finish(self.requests.start("GET", url, list(headers.items())))

    async def post(self, url: str, body: bytes, **headers: str) -> Response:
        return await finish(self.requests.start("POST", url, list(headers.items()), body))

    async def failure(self, url: str) -> PieError:
        with pytest.raises(PieError) as failed:
            await self.get(url)
        return failed.value


async def finish(future: Future) -> Response:
    await done(future)
    return Requests.take(future)


async def done(future: Future) -> None:
    ready = asyncio.Event()
    future.wake = ready.set
    if not future.done:
        await ready.wait()


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with serve_web() as web:
        web.answer("/", b"hello", "200 OK", "X-Color: red", "x-color: blue")
        yield web


@pytest.fixture
async def program() -> AsyncIterator[Program]:
    program = Program()
    yield program
    assert (program.requests.open, program.hoard.held) == (0, 0)
    await program.egress.close()


async def test_an_answer_brings_status_url_headers_and_body(web: Web, program: Program) -> None:
    response = await program.get(f"{web.url}/?q=1", accept="text/plain")
    assert (response.status, response.url, response.body) == (200, f"{web.url}/?q=1", "hello")
    assert [tuple(pair) for pair in response.headers if pair.name == "x-color"] == [
        ("x-color", "red"),
        ("x-color", "blue"),
    ]
    asked = web.asked[0]
    assert asked.line == "GET /?q=1 HTTP/1.1"
    assert asked.header("host") == f"127.0.0.1:{web.port}"
    assert asked.header("accept") == "text/plain"


async def test_a_post_carries_any_bytes(web: Web, program: Program) -> None:
    body = bytes(range(256)) * 100
    web.answer("/post", body)
    response = await program.post(f"{web.url}/post", body, authorization="Bearer x")
    assert response.body.encode("latin-1") == body
    assert (web.asked[0].body, web.asked[0].header("authorization")) == (body, "Bearer x")
    assert program.requests.bytes_out > len(body)
    assert program.requests.bytes_in == len(body)


async def test_an_error_status_is_an_answer(web: Web, program: Program) -> None:
    web.answer("/missing", b"no", "404 Not Found")
    assert (await program.get(f"{web.url}/missing")).status == 404


async def test_nothing_is_allowed_unless_the_operator_says_so(web: Web) -> None:
    program = Program(EgressSettings())
    with pytest.raises(NotPermitted, match="allow_hosts"):
        program.requests.start("GET", web.url, [])
    assert web.asked == []


async def test_a_launch_can_only_narrow(web: Web) -> None:
    program = Program(hosts=["example.org"])
    with pytest.raises(NotPermitted, match="launch"):
        program.requests.start("GET", web.url, [])
    wide = Program(EgressSettings(hosts=parse_patterns(["example.org"])), hosts=["*:*"])
    with pytest.raises(NotPermitted, match="allow_hosts"):
        wide.requests.start("GET", web.url, [])


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "localhost",
        "0.0.0.0",
    ],
)
async def test_no_way_of_writing_it_leads_to_this_machine_when_all_hosts_are_allowed(
    web: Web, host: str
) -> None:
    program = Program(EgressSettings(hosts=parse_patterns(["*:*"])))
    failed = await program.failure(f"http://{host}:{web.port}/")
    assert isinstance(failed, NotPermitted | Unreachable)
    assert web.asked == []


@pytest.mark.parametrize("address", ["169.254.169.254", "[fd00:ec2::254]", "[::ffff:a9fe:a9fe]"])
async def test_metadata_addresses_are_refused_even_where_private_ones_are_allowed(address: str) -> None:
    program = Program(EgressSettings(private_hosts=parse_patterns(["*:*"])))
    assert isinstance(await program.failure(f"http://{address}/latest/meta-data"), NotPermitted)


async def test_a_name_is_looked_up_once_and_the_connection_goes_to_the_address_that_was_checked(
    web: Web,
) -> None:
    names = Names("127.0.0.1", "127.0.0.2")
    program = Program(names=names)
    response = await program.get(f"http://rebind.test:{web.port}/")
    assert response.body == "hello"
    assert names.asked == ["rebind.test"]
    assert web.asked[0].header("host") == f"rebind.test:{web.port}"


async def test_a_name_that_leads_to_a_private_address_is_refused(web: Web) -> None:
    program = Program(EgressSettings(hosts=parse_patterns(["*:*"])), names=Names("127.0.0.1"))
    failed = await program.failure(f"http://innocent.example:{web.port}/")
    assert "innocent.example has the address 127.0.0.1" in str(failed)
    assert web.asked == []


async def test_a_name_with_one_private_address_among_public_ones_is_refused() -> None:
    async def mixed(host: str, port: int) -> Sequence[Address]:
        del host, port
        return [ip_address("93.184.216.34"), ip_address("10.0.0.1")]

    program = Program(EgressSettings(hosts=parse_patterns(["*"])), names=mixed)  # type: ignore[arg-type]
    assert isinstance(await program.failure("http://mixed.example/"), NotPermitted)


async def test_redirects_are_followed_and_tell_where_the_answer_came_from(web: Web, program: Program) -> None:
    web.redirect("/one", "/two")
    web.redirect("/two", f"http://127.0.0.1:{web.port}/")
    response = await program.get(f"{web.url}/one")
    assert (response.body, response.url) == ("hello", f"{web.url}/")


async def test_each_redirect_is_checked_again(web: Web) -> None:
    web.redirect("/away", f"http://127.0.0.1:{web.port}/")
    names = Names("127.0.0.1")
    settings = EgressSettings(private_hosts=parse_patterns(["front.test:*"]))
    program = Program(settings, names=names)
    failed = await program.failure(f"http://front.test:{web.port}/away")
    assert isinstance(failed, NotPermitted)
    assert len(web.asked) == 1


async def test_a_redirect_to_a_name_with_a_private_address_is_refused(web: Web) -> None:
    web.redirect("/away", f"http://inside.example:{web.port}/")
    settings = EgressSettings(
        hosts=parse_patterns(["*:*"]), private_hosts=parse_patterns([f"127.0.0.1:{web.port}"])
    )
    failed = await Program(settings, names=Names("127.0.0.1")).failure(f"{web.url}/away")
    assert "inside.example has the address 127.0.0.1" in str(failed)


@pytest.mark.parametrize("location", ["file:///etc/passwd", "http://user:pw@127.0.0.1/", "http://[::1"])
async def test_a_redirect_to_no_url_is_an_error(web: Web, program: Program, location: str) -> None:
    web.redirect("/away", location)
    assert isinstance(await program.failure(f"{web.url}/away"), InvalidArgument)


async def test_endless_redirects_end(web: Web, program: Program) -> None:
    web.redirect("/round", "/round")
    assert "more than 10 redirects" in str(await program.failure(f"{web.url}/round"))
    assert len(web.asked) == 11


async def test_a_post_becomes_a_get_where_redirects_say_so_and_stays_one_where_they_do_not(
    web: Web, program: Program
) -> None:
    web.redirect("/see", "/", "303 See Other")
    web.redirect("/again", "/", "307 Temporary Redirect")
    await program.post(f"{web.url}/see", b"body", content_type="text/plain")
    await program.post(f"{web.url}/again", b"body")
    assert [(asked.line.split()[0], asked.body) for asked in web.asked] == [
        ("POST", b"body"),
        ("GET", b""),
        ("POST", b"body"),
        ("POST", b"body"),
    ]


async def test_keys_in_headers_do_not_follow_a_redirect_to_another_server(web: Web) -> None:
    async with serve_web() as other:
        other.answer("/", b"other")
        web.redirect("/away", f"{other.url}/")
        await Program().get(f"{web.url}/away", authorization="secret", cookie="c", accept="text/plain")
    asked = other.asked[0]
    assert (asked.header("authorization"), asked.header("cookie")) == (None, None)
    assert asked.header("accept") == "text/plain"


@pytest.mark.parametrize(
    "name",
    ["Host", "content-length", "Transfer-Encoding", "connection", "proxy-authorization", "TE", "Upgrade"],
)
async def test_headers_that_say_how_bytes_travel_cannot_be_set(program: Program, name: str) -> None:
    with pytest.raises(InvalidArgument, match="is the server's to set"):
        program.requests.start("GET", "http://127.0.0.1/", [(name, "x")])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x", "a\r\nevil: yes"),
        ("x", "a\nb"),
        ("x", "a\0"),
        ("x\r\ny", "z"),
        ("", "z"),
        ("a b", "z"),
        ("x:", "z"),
        ("x", "ключ"),
    ],
)
async def test_line_breaks_and_other_tricks_in_headers_are_refused(
    program: Program, name: str, value: str
) -> None:
    with pytest.raises(InvalidArgument):
        program.requests.start("GET", "http://127.0.0.1/", [(name, value)])


async def test_too_many_headers_are_refused(program: Program) -> None:
    with pytest.raises(LimitExceeded, match="65 headers"):
        program.requests.start("GET", "http://127.0.0.1/", [("x", "y")] * 65)


async def test_an_endless_body_ends_at_the_limit(web: Web) -> None:
    async def endless(asked: Asked, writer: asyncio.StreamWriter) -> None:
        del asked
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    web.pages["/endless"] = endless
    program = Program(replace(HERE, response_bytes=1 << 20))
    failed = await program.failure(f"{web.url}/endless")
    assert "longer than 1048576 bytes" in str(failed)
    assert program.hoard.held == 0


async def test_a_slow_body_ends_with_the_time(web: Web) -> None:
    gone = asyncio.Event()

    async def drip(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nx")
        await asked.client_left()
        gone.set()

    web.pages["/drip"] = drip
    failed = await Program(replace(HERE, seconds=0.05)).failure(f"{web.url}/drip")
    assert isinstance(failed, Timeout)
    await gone.wait()


async def test_a_server_that_says_nothing_ends_with_the_time(web: Web) -> None:
    async def silent(asked: Asked, writer: asyncio.StreamWriter) -> None:
        del asked, writer
        await asyncio.Event().wait()

    web.pages["/silent"] = silent
    assert isinstance(await Program(replace(HERE, seconds=0.05)).failure(f"{web.url}/silent"), Timeout)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_packed_bodies_are_unpacked(web: Web, program: Program, encoding: str) -> None:
    packed = gzip.compress(b"text" * 1000) if encoding == "gzip" else zlib.compress(b"text" * 1000)
    web.answer("/packed", packed, "200 OK", f"content-encoding: {encoding}")
    response = await program.get(f"{web.url}/packed")
    assert response.body == "text" * 1000
    assert {"content-encoding", "content-length"}.isdisjoint(header.name for header in response.headers)
    assert program.requests.bytes_in == len(packed)


async def test_a_gzip_bomb_is_stopped_at_the_limit(web: Web, program: Program) -> None:
    web.answer("/bomb", gzip.compress(bytes(BOMB)), "200 OK", "content-encoding: gzip")
    failed = await program.failure(f"{web.url}/bomb")
    assert "longer than 8388608 bytes" in str(failed)


async def test_a_body_that_does_not_unpack_is_an_error(web: Web, program: Program) -> None:
    web.answer("/broken", b"not gzip", "200 OK", "content-encoding: gzip")
    assert isinstance(await program.failure(f"{web.url}/broken"), Unreachable)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000 + b"\r\n",
        b"220 smtp ready\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20,
        b"",
    ],
    ids=["long", "many", "another protocol", "cut short", "two lengths", "bad chunk", "hints", "nothing"],
)
async def test_a_server_that_does_not_speak_http_is_an_error(
    web: Web, program: Program, answer: bytes
) -> None:
    async def write(asked: Asked, writer: asyncio.StreamWriter) -> None:
        del asked
        writer.write(answer)

    web.pages["/odd"] = write
    assert isinstance(await program.failure(f"{web.url}/odd"), Unreachable)


async def test_a_server_that_is_not_there_is_an_error() -> None:
    async with serve_web() as web:
        port = web.port
    failed = await Program().failure(f"http://127.0.0.1:{port}/")
    assert "cannot connect to 127.0.0.1" in str(failed)


async def test_a_name_that_does_not_exist_is_an_error() -> None:
    async def nobody(host: str, port: int) -> Sequence[Address]:
        del host, port
        raise OSError("no such name")

    failed = await Program(names=nobody).failure("http://missing.test/")  # type: ignore[arg-type]
    assert "missing.test cannot be looked up: no such name" in str(failed)


async def test_connections_at_a_time_are_bounded_for_a_program_and_for_all(web: Web) -> None:
    three, release = asyncio.Event(), asyncio.Event()

    async def wait(asked: Asked, writer: asyncio.StreamWriter) -> None:
        del asked
        if web.open == 3:
            three.set()
        await release.wait()
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    web.pages["/wait"] = wait
    program = Program(replace(HERE, connections=3, connections_each=2))
    greedy, other = program.requests, program.another()
    futures = [greedy.start("GET", f"{web.url}/wait", []) for _ in range(5)]
    futures += [other.start("GET", f"{web.url}/wait", []) for _ in range(5)]
    await three.wait()
    release.set()
    assert [(await finish(future)).status for future in futures] == [204] * 10
    assert web.most_open == 3


async def test_requests_that_nobody_awaits_are_bounded(web: Web) -> None:
    program = Program(replace(HERE, requests_each=2))
    futures = [program.requests.start("GET", web.url, []) for _ in range(2)]
    with pytest.raises(LimitExceeded, match="2 requests are open"):
        program.requests.start("GET", web.url, [])
    for future in futures:
        await finish(future)
    await program.get(web.url)


async def test_bytes_that_a_program_does_not_take_are_bounded(web: Web) -> None:
    web.answer("/big", bytes(1000))
    program = Program(replace(HERE, held_bytes_each=1500))
    kept = program.requests.start("GET", f"{web.url}/big", [])
    await done(kept)
    assert "await what is there first" in str(await program.failure(f"{web.url}/big"))
    Requests.take(kept)
    assert (await program.get(f"{web.url}/big")).status == 200
    assert program.hoard.held == 0


async def test_a_request_that_is_dropped_is_cancelled(web: Web, program: Program) -> None:
    came, left = asyncio.Event(), asyncio.Event()

    async def wait(asked: Asked, writer: asyncio.StreamWriter) -> None:
        del writer
        came.set()
        await asked.client_left()
        left.set()

    web.pages["/wait"] = wait
    future = program.requests.start("GET", f"{web.url}/wait", [])
    await came.wait()
    assert future.on_drop is not None
    future.on_drop(future)
    assert program.requests.open == 0
    await left.wait()


async def test_tls_is_checked_against_the_name_in_the_url() -> None:
    async with serve_web(secure=True) as web:
        web.answer("/", b"safe")
        program = Program(names=Names("127.0.0.1"), trusted=trust())
        assert (await program.get(f"https://secure.test:{web.port}/")).body == "safe"
        failed = await program.failure(f"https://other.test:{web.port}/")
        assert isinstance(failed, Unreachable)
        assert "no secure connection to other.test" in str(failed)
        assert len(web.asked) == 1


async def test_a_certificate_that_nobody_vouches_for_is_refused() -> None:
    async with serve_web(secure=True) as web:
        failed = await Program(names=Names("127.0.0.1")).failure(f"https://secure.test:{web.port}/")
        assert "certificate" in str(failed) or "self-signed" in str(failed)


async def test_a_redirect_from_https_to_http_is_not_followed() -> None:
    async with serve_web(secure=True) as web:
        web.redirect("/down", "http://secure.test/")
        program = Program(names=Names("127.0.0.1"), trusted=trust())
        assert isinstance(await program.failure(f"https://secure.test:{web.port}/down"), NotPermitted)


async def test_the_environments_proxies_are_not_used(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    assert (await Program().get(web.url)).body == "hello"


async def test_cookies_are_not_kept(web: Web, program: Program) -> None:
    web.answer("/set", b"", "200 OK", "set-cookie: a=b")
    await program.get(f"{web.url}/set")
    await program.get(web.url)
    assert web.asked[1].header("cookie") is None
