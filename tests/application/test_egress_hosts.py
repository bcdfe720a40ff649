"""Patterns of hosts, URLs and addresses: what they mean, and what is none."""

from ipaddress import ip_address

import pytest

from pie.application.egress_addresses import is_private, is_public
from pie.application.egress_hosts import parse_pattern, parse_url
from pie.core.errors import InvalidArgument


@pytest.mark.parametrize(
    ("pattern", "host", "port"),
    [
        ("example.org", "example.org", 80),
        ("example.org", "example.org", 443),
        ("Example.ORG.", "example.org", 443),
        ("example.org:8080", "example.org", 8080),
        ("example.org:*", "example.org", 1),
        ("*.example.org", "a.example.org", 443),
        ("*.example.org", "a.b.example.org", 443),
        ("*", "anything.at.all", 443),
        ("*:*", "anything", 9),
        ("[::1]:80", "::1", 80),
        ("[0:0::1]", "::1", 443),
        ("10.0.0.5", "10.0.0.5", 80),
    ],
)
def test_a_pattern_matches(pattern: str, host: str, port: int) -> None:
    assert parse_pattern(pattern).matches(host, port)


@pytest.mark.parametrize(
    ("pattern", "host", "port"),
    [
        ("example.org", "example.org", 8080),
        ("example.org", "a.example.org", 443),
        ("*.example.org", "example.org", 443),
        ("*.example.org", "badexample.org", 443),
        ("*.example.org", ".example.org", 443),
        ("example.org:8080", "example.org", 443),
        ("*", "example.org", 22),
    ],
)
def test_a_pattern_does_not_match(pattern: str, host: str, port: int) -> None:
    assert not parse_pattern(pattern).matches(host, port)


@pytest.mark.parametrize("pattern", ["", "*.", "*.*", "a b", "http://a", "a:b", "a:0", "::1", "a/b", "a.*.b"])
def test_what_is_no_pattern_is_refused_with_examples(pattern: str) -> None:
    with pytest.raises(InvalidArgument, match=r"write example\.org"):
        parse_pattern(pattern)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("http://example.org", "http://example.org/"),
        ("HTTPS://EXAMPLE.org.:443/a?b=c#d", "https://example.org/a?b=c"),
        ("http://example.org:8080/ä?ü", "http://example.org:8080/%C3%A4?%C3%BC"),
        ("http://[2001:DB8:0:0::A]/", "http://[2001:db8::a]/"),
        ("http://example.org:/", "http://example.org/"),
    ],
)
def test_a_url_has_one_reading(text: str, meant: str) -> None:
    assert str(parse_url(text)) == meant


@pytest.mark.parametrize(
    "text",
    [
        "example.org",
        "ftp://example.org/",
        "file:///etc/passwd",
        "gopher://x",
        "http:///path",
        "http://",
        "http://user@example.org/",
        "http://user:secret@example.org/",
        "http://example.org@127.0.0.1/",
        "http://example.org\\@127.0.0.1/",
        "http://exa mple.org/",
        "http://example.org/\r\nX: y",
        "http://example.org/\x00",
        "http://example.org:99999/",
        "http://example.org:0/",
        "http://[::1/",
        "http://[fe80::1%25eth0]/",
        "http://a..b/",
        "http://ex%61mple.org/",
        "http://bücher.example/",
        "http://example.org:80:80/",
        "//example.org/",
        "http://" + "a" * 300 + "/",
        "http://x/" + "a" * 9000,
    ],
)
def test_what_is_no_url_or_could_be_read_in_two_ways_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_url(text)


def test_a_password_in_a_url_is_not_repeated_in_the_error() -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse_url("http://user:secret@example.org/")
    assert "secret" not in str(refused.value)


PUBLIC = ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]
PRIVATE = [
    "127.0.0.1",
    "127.1.2.3",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.1.1",
    "100.64.0.1",
    "::1",
    "fe80::1",
    "fc00::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
]
NEVER = [
    "0.0.0.0",
    "255.255.255.255",
    "224.0.0.1",
    "240.0.0.1",
    "::",
    "ff02::1",
    "169.254.169.254",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "100.100.100.200",
    "168.63.129.16",
    "fd00:ec2::254",
    "192.0.0.192",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_public_however_it_is_wrapped(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_one_however_it_is_wrapped(address: str) -> None:
    assert is_private(ip_address(address))
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", NEVER)
def test_multicast_unspecified_and_metadata_addresses_are_neither(address: str) -> None:
    assert not is_private(ip_address(address))
    assert not is_public(ip_address(address))
