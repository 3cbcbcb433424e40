"""What the hub connects to for a webhook, and what receivers can do to it: nothing lasting."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from controlplane.webhooks.exchange import (
    MAX_EXCERPT_CHARS,
    Exchange,
    ExchangeError,
    Outcome,
    Resolve,
)
from controlplane.webhooks.retries import wait_asked_for, wait_before_retry
from controlplane.webhooks.signing import new_secret, signed_headers
from protocol.addresses import parse_networks
from protocol.http_target import parse_target
from tests.servers.receiver import Receiver, receiving, status

LOOPBACK = parse_networks(["127.0.0.0/8", "::1/128"])
INSIDE = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001:0:7f00:1::",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
]


def resolver(*answers: Sequence[str]) -> Resolve:
    """A resolver that gives one answer after another, the last one for ever."""
    left = list(answers)

    async def resolve(host: str, port: int) -> Sequence[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve


def exchange(resolve: Resolve | None = None, **options: Any) -> Exchange:
    options = {"allowed": LOOPBACK, "timeout_seconds": 2, **options}
    return Exchange(**options, **({"resolve": resolve} if resolve else {}))


async def post(one: Exchange, url: str, body: bytes = b"{}") -> Outcome:
    return await one.post(parse_target(url), {"content-type": "application/json"}, body)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as one:
        yield one


@pytest.mark.parametrize("address", INSIDE)
async def test_no_name_leads_inside(address: str) -> None:
    for answer in ([address], ["93.184.215.14", address]):
        guarded = exchange(resolver(answer), allowed=())
        assert (await post(guarded, "https://innocent.example/")).error == "no_public_address"


@pytest.mark.parametrize(
    "host",
    ["127.1", "2130706433", "0x7f000001", "017700000001", "localhost", "[::1]", "[::ffff:7f00:1]"],
)
async def test_no_spelling_of_an_address_leads_inside(host: str) -> None:
    outcome = await post(exchange(allowed=()), f"https://{host}/")
    assert outcome.error == "no_public_address"


async def test_a_name_that_resolves_elsewhere_a_moment_later_changes_nothing(
    receiver: Receiver,
) -> None:
    async with receiving() as victim:
        rebinding = resolver(["127.0.0.1"], ["127.0.0.2"])
        outcome = await post(exchange(rebinding), f"http://rebinds.example:{receiver.port}/x")
        assert outcome.status == 200
        assert receiver.posts[0].headers["host"] == f"rebinds.example:{receiver.port}"
        assert victim.posts == []
        refused = exchange(rebinding, allowed=parse_networks(["127.0.0.1/32"]))
        second = await post(refused, f"http://rebinds.example:{receiver.port}/x")
        assert second.error == "no_public_address"


async def test_plain_http_goes_to_listed_loopback_and_nowhere_else(receiver: Receiver) -> None:
    url = f"http://127.0.0.1:{receiver.port}/"
    assert (await post(exchange(), url)).status == 200
    assert (await post(exchange(allowed=()), url)).error == "no_public_address"
    everything = exchange(resolver(["10.1.2.3"]), allowed=parse_networks(["10.0.0.0/8"]))
    assert (await post(everything, "http://inside.example/")).error == "no_public_address"
    assert await everything.find_addresses(parse_target("https://inside.example/")) == ["10.1.2.3"]


async def test_a_host_without_an_address_is_told_like_one_inside() -> None:
    async def nowhere(host: str, port: int) -> Sequence[str]:
        raise OSError

    with pytest.raises(ExchangeError, match="no_public_address"):
        await exchange(nowhere).find_addresses(parse_target("https://nowhere.example/"))
    assert (await post(exchange(resolver([])), "https://empty.example/")).error == (
        "no_public_address"
    )


async def test_a_redirect_is_an_answer_and_is_not_followed(receiver: Receiver) -> None:
    async with receiving() as victim:
        receiver.answer = status(307, b"", Location=victim.url)
        outcome = await post(exchange(), receiver.url)
        assert (outcome.status, victim.posts) == (307, [])


async def test_an_endless_answer_is_read_as_far_as_the_excerpt_goes(receiver: Receiver) -> None:
    sent = 0

    async def endless(_: Any, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            sent += 65536
            await writer.drain()

    receiver.answer = endless
    outcome = await post(exchange(), receiver.url)
    assert (outcome.status, outcome.excerpt) == (200, "x" * MAX_EXCERPT_CHARS)
    assert sent < 32 * 1024 * 1024


async def test_an_answer_whose_body_never_ends_has_arrived(receiver: Receiver) -> None:
    async def hold(_: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun")
        await writer.drain()
        await asyncio.sleep(30)

    receiver.answer = hold
    outcome = await post(exchange(timeout_seconds=1), receiver.url)
    assert (outcome.status, outcome.error, outcome.excerpt) == (200, None, "begun")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"220 mail.example ESMTP\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 2_000,
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"\x00\xff" * 500,
    ],
)
async def test_what_is_no_answer_ends_the_attempt(receiver: Receiver, answer: bytes) -> None:
    async def nonsense(_: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    receiver.answer = nonsense
    outcome = await post(exchange(), receiver.url)
    assert (outcome.status, outcome.error) in ((None, "bad_response"), (None, "connection_failed"))


async def test_time_ends_whoever_says_nothing_or_a_byte_at_a_time(receiver: Receiver) -> None:
    async def drip(_: Any, writer: asyncio.StreamWriter) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nSlow: " + b"y" * 1_000:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.05)

    receiver.answer = drip
    began = time.monotonic()
    assert (await post(exchange(timeout_seconds=0.5), receiver.url)).error == "timed_out"
    assert time.monotonic() - began < 5


async def test_a_receiver_that_does_not_read_holds_nobody() -> None:
    blocked = asyncio.Event()

    async def stare(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await blocked.wait()
        writer.close()

    server = await asyncio.start_server(stare, "127.0.0.1", 0, limit=1)
    port = server.sockets[0].getsockname()[1]
    outcome = await post(
        exchange(timeout_seconds=0.5), f"http://127.0.0.1:{port}/", b"x" * 32 * 1024 * 1024
    )
    assert outcome.error == "timed_out"
    blocked.set()
    server.close()


async def test_nobody_listens() -> None:
    async with receiving() as gone:
        url = gone.url
    assert (await post(exchange(), url)).error == "connection_failed"


async def test_tls_is_checked_by_the_name_of_the_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "hook.pem"
    path.write_bytes(certificate_for("hook.example"))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    async with receiving(ssl=server) as receiver:
        guarded = exchange(resolver(["127.0.0.1"]))
        good = await post(guarded, f"https://hook.example:{receiver.port}/")
        assert (good.status, good.error) == (200, None)
        other = await post(guarded, f"https://other.example:{receiver.port}/")
        assert other.error == "tls_failed"
        assert len(receiver.posts) == 1


def certificate_for(name: str) -> bytes:
    """A key and a certificate that signs itself, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(names)
        .issuer_name(names)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem + built.public_bytes(serialization.Encoding.PEM)


def test_waits_grow_sixfold_and_stay_within_their_bounds() -> None:
    def waits(chance: float) -> list[float]:
        return [
            wait_before_retry(
                attempts, first_seconds=5, max_seconds=86_400, chance=chance
            ).total_seconds()
            for attempts in range(1, 11)
        ]

    assert waits(0.5) == [5, 30, 180, 1_080, 6_480, 38_880, 86_400, 86_400, 86_400, 86_400]
    assert waits(0)[0] == 4
    assert waits(1)[-1] == pytest.approx(86_400 * 1.2)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("999999999999999999999", 86_400),
        ("-1", None),
        ("soon", None),
        ("1.5", None),
        ("\u0664", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        (None, None),
    ],
)
def test_a_receiver_asks_for_at_most_a_day(text: str | None, seconds: int | None) -> None:
    asked = wait_asked_for(text)
    assert (None if asked is None else asked.total_seconds()) == seconds


def test_a_signature_is_the_one_of_the_specification() -> None:
    headers = signed_headers(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        at=datetime.datetime.fromtimestamp(1614265330, datetime.UTC),
        body=b'{"test": 2432232314}',
    )
    # The vector of the libraries of the specification's authors.
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert headers["webhook-timestamp"] == "1614265330"
    assert len({new_secret() for _ in range(100)}) == 100


def test_an_address_is_text_of_the_resolver() -> None:
    assert all(ipaddress.ip_address(one) for one in INSIDE)
