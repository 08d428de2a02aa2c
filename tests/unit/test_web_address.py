"""Listen addresses."""

from __future__ import annotations

import socket

import pytest

from exporter.lib.address import Address, bound, listen, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0.0.0.0:8080", ("0.0.0.0", 8080)),
        (":8080", ("", 8080)),
        ("[::1]:9877", ("::1", 9877)),
        ("[fe80::1%eth0]:80", ("fe80::1%eth0", 80)),
        ("localhost:0", ("localhost", 0)),
        (" 127.0.0.1:1 ", ("127.0.0.1", 1)),
    ],
)
def test_an_address_is_host_and_port(text, address):
    assert parse_address(text) == address


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no port"),
        ("8080", "no port"),
        ("localhost", "no port"),
        ("localhost:", "number from 0 to 65535"),
        ("localhost:http", "number from 0 to 65535"),
        ("localhost:65536", "number from 0 to 65535"),
        ("localhost:-1", "number from 0 to 65535"),
        ("localhost:٣", "number from 0 to 65535"),
        ("::1:9877", "in brackets"),
        ("[localhost]:9877", "no IPv6 address"),
        ("http://localhost:80", "in brackets"),
        ("a b:80", "not a host name"),
    ],
)
def test_what_is_no_address_is_refused_with_the_reason(text, why):
    with pytest.raises(ValueError, match=why):
        parse_address(text)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", ""])
def test_port_0_takes_a_free_port_and_says_which(host):
    with listen(Address(host, 0)) as listening:
        where = bound(listening)

        assert where.port > 0
        with socket.create_connection(("127.0.0.1", where.port), timeout=5):
            pass


def test_an_address_in_use_is_named():
    with listen(Address("127.0.0.1", 0)) as listening:
        port = bound(listening).port

        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
            listen(Address("127.0.0.1", port))


def test_an_unknown_host_is_named():
    with pytest.raises(OSError, match=r"cannot listen on nowhere\.invalid:80"):
        listen(Address("nowhere.invalid", 80))


def test_an_address_is_written_as_it_is_read():
    assert [str(parse_address(text)) for text in (":80", "[::1]:80", "a:80")] == [":80", "[::1]:80", "a:80"]
