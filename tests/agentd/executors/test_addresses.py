from __future__ import annotations

import ipaddress

import pytest

from agentd.executors.addresses import matches_host
from protocol.addresses import is_reachable, parse_networks
from protocol.http_target import parse_target

CLOSED_ROWS = (
    "0.0.0.0 0.1.2.3 10.1.2.3 100.64.0.1 127.0.0.1 127.255.255.254 169.254.169.254",
    "172.16.0.1 172.31.255.255 192.0.0.1 192.0.2.1 192.168.1.1 198.18.0.1",
    "198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255 ::",
    "::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:a9fe:a9fe ::127.0.0.1",
    "64:ff9b::7f00:1 64:ff9b::169.254.169.254 64:ff9b:1::1 100::1 2001:db8::1 2001::1",
    "2002:7f00:1::1 3fff::1 fc00::1 fd00:ec2::254 fe80::1 fe80::1%1 fec0::1 ff02::1",
    "5f00::1 2606:4700::1%1",
)
CLOSED = [text for row in CLOSED_ROWS for text in row.split()]
OPEN = "1.1.1.1 8.8.8.8 100.63.255.255 172.32.0.1 2606:4700::1 64:ff9b::8.8.8.8 ::ffff:1.1.1.1"


@pytest.mark.parametrize("text", CLOSED)
def test_addresses_that_are_nobodys_business_are_closed(text):
    assert not is_reachable(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", OPEN.split())
def test_public_addresses_are_open(text):
    assert is_reachable(ipaddress.ip_address(text))


def test_the_owner_of_the_machine_may_open_a_network():
    allowed = parse_networks(["10.1.0.0/16", "::1/128"])
    assert is_reachable(ipaddress.ip_address("10.1.2.3"), allowed)
    assert is_reachable(ipaddress.ip_address("::ffff:10.1.2.3"), allowed)
    assert is_reachable(ipaddress.ip_address("::1"), allowed)
    assert not is_reachable(ipaddress.ip_address("10.2.0.1"), allowed)


@pytest.mark.parametrize(
    ("pattern", "host", "port", "expected"),
    [
        ("example.com", "example.com", 443, True),
        ("Example.COM.", "EXAMPLE.com.", 443, True),
        ("example.com", "www.example.com", 443, False),
        ("example.com", "example.com.evil.org", 443, False),
        ("*.example.com", "a.b.example.com", 443, True),
        ("*.example.com", "example.com", 443, False),
        ("*.example.com", ".example.com", 443, False),
        ("*.example.com", "badexample.com", 443, False),
        ("*", "anything.org", 80, True),
        ("example.com:8443", "example.com", 8443, True),
        ("example.com:8443", "example.com", 443, False),
        ("::1", "::1", 80, True),
        ("[::1]:80", "::1", 80, True),
        ("[::1]:80", "::1", 81, False),
        ("", "", 80, False),
        ("ex*mple.com", "example.com", 80, False),
    ],
)
def test_patterns_name_hosts(pattern, host, port, expected):
    assert matches_host(pattern, host, port) is expected


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "//example.com/",
        "example.com",
        "http://",
        "http:///path",
        "http://user:pw@example.com/",
        "http://example.com@127.0.0.1/",
        "http://exa mple.com/",
        "http://example.com\\@127.0.0.1/",
        "http://example.com/\r\nHost: x",
        "http://example.com:99999/",
        "http://example.com:x/",
        "http://[::1/",
        "http://[fe80::1%25eth0]/",
        "http://a..b/",
        "http://" + "x" * 9000,
    ],
)
def test_what_is_no_plain_url_is_refused(url):
    with pytest.raises(ValueError, match=r"[a-z]"):
        parse_target(url)


def test_a_url_is_taken_apart():
    target = parse_target("HTTPS://B\u00fccher.Example.:8443/\u00e4/%2e?q=\u00e4#frag")
    assert (target.scheme, target.host, target.port) == ("https", "xn--bcher-kva.example", 8443)
    assert target.request_target == "/%C3%A4/%2e?q=%C3%A4"
    assert target.host_header == "xn--bcher-kva.example:8443"
    assert parse_target("http://[::1]/").host_header == "[::1]"
