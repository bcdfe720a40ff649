"""`inferlet.http` on the fake web."""

import pytest

from inferlet import http, raw
from inferlet.errors import InvalidArgument, NotPermitted
from inferlet.http import Headers, Response
from inferlet.runner import run_in_loop
from inferlet.testing import FakeHost

URL = "https://example.org/"


def answer(body: bytes, status: int = 200, content_type: str = "text/plain") -> Response:
    return Response(status, URL, Headers([("content-type", content_type)]), body)


def test_get_gives_status_url_headers_and_body() -> None:
    with FakeHost(web={URL: b"\xff\x00data"}):
        response = run_in_loop(http.get(URL))
    assert (response.status, response.ok, response.url, response.body) == (200, True, URL, b"\xff\x00data")
    assert response.headers["Content-Length"] == "6"


def test_params_are_added_to_the_query_and_before_the_fragment() -> None:
    with FakeHost(web={f"{URL}?a=1&b=x+y&b=z#top": ""}):
        run_in_loop(http.get(f"{URL}?a=1#top", params={"b": ["x y", "z"]}))


def test_names_beyond_ascii_are_asked_for_as_the_network_knows_them() -> None:
    with FakeHost(web={"http://xn--bcher-kva.example/ä": ""}):
        run_in_loop(http.get("http://bücher.example/ä"))


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"json": {"a": ["ä"]}}, '{"a": ["ä"]}'.encode()),
        ({"json": 0}, b"0"),
        ({"data": "ä"}, "ä".encode()),
        ({"data": b"\xff"}, b"\xff"),
        ({"data": {"a": "b c", "d": "e"}}, b"a=b+c&d=e"),
        ({}, b""),
    ],
)
def test_post_sends_json_text_bytes_or_a_form(given: dict[str, object], sent: bytes) -> None:
    with FakeHost(web={URL: ""}) as host:
        run_in_loop(http.post(URL, **given))  # type: ignore[arg-type]
        assert host.http.posted == [(URL, sent)]  # type: ignore[attr-defined]


def test_json_and_data_together_are_a_mistake() -> None:
    with FakeHost(web={URL: ""}), pytest.raises(InvalidArgument, match="not both"):
        run_in_loop(http.post(URL, json=1, data=""))


def test_what_is_not_allowed_is_an_exception() -> None:
    with FakeHost(), pytest.raises(NotPermitted):
        run_in_loop(http.get(URL))


def test_text_is_read_in_the_encoding_that_the_server_names() -> None:
    assert answer("ä".encode()).text == "ä"
    assert answer("ä".encode("latin-1"), content_type='text/html; charset="iso-8859-1"; x=y').text == "ä"
    assert answer(b"a\xff", content_type="text/plain; charset=nonsense").text == "a�"


def test_json_that_is_none_is_quoted_in_the_error() -> None:
    assert answer(b'{"a": 1}').json() == {"a": 1}
    with pytest.raises(InvalidArgument, match="<html>"):
        answer(b"<html>").json()


def test_raise_for_status_passes_answers_on_and_raises_for_errors() -> None:
    fine = answer(b"")
    assert fine.raise_for_status() is fine
    with pytest.raises(http.StatusError, match="status 503: busy") as failed:
        answer(b"busy", 503).raise_for_status()
    assert failed.value.response.status == 503


def test_headers_are_found_in_any_case_and_several_are_joined() -> None:
    headers = Headers([("set-cookie", "a"), ("set-cookie", "b"), ("x", "y")])
    assert (headers["Set-Cookie"], dict(headers)["x"], len(headers)) == ("a, b", "y", 2)
    assert headers.pairs[1] == ("set-cookie", "b")


def test_the_raw_call_takes_and_gives_bytes() -> None:
    with FakeHost(web={URL: bytes(range(256))}):
        assert raw.http_post(URL, [("a", "b")], b"x").wait().body == bytes(range(256))
