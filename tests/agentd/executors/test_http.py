from __future__ import annotations

import asyncio
import base64
import datetime
import gzip
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agentd.errors import ExecutorError
from agentd.executors.base import parse_params
from agentd.executors.http import MAX_REDIRECTS, HttpGet
from protocol.errors import BadParamsError

OPEN = HttpGet(allow_private=("127.0.0.0/8", "::1/128"), max_body_bytes=100_000)
LOCAL = ("127.0.0.1", "localhost")
Handler = Callable[[str, dict[str, str], asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler, **options) -> AsyncIterator[int]:
    """Serve raw answers on a free loopback port."""
    open_writers = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_writers.add(writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = dict(line.split(": ", 1) for line in head[1:] if line)
            await handler(head[0].split(" ")[1], {k.lower(): v for k, v in headers.items()}, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, **options)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in open_writers:
            writer.close()


def answer(writer: asyncio.StreamWriter, body: bytes = b"", status: int = 200, **headers) -> None:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


async def fails(awaitable, code: str) -> None:
    with pytest.raises(ExecutorError) as caught:
        await awaitable
    assert caught.value.code == code


async def test_a_listed_host_is_fetched(run):
    seen = {}

    async def handler(path, headers, writer):
        seen.update(headers, path=path)
        answer(writer, "grüße".encode(), 404, X_Kind="a", Set_Cookie="session=1", x_kind="b")

    async with serving(handler) as port:
        output = await run(
            OPEN,
            {"url": f"http://localhost:{port}/a?b=c#d", "headers": {"X-Token": "t"}},
            domains=LOCAL,
        )
    assert output == {
        "status": 404,
        "headers": {"content-length": "7", "x-kind": "a, b"},
        "body": "grüße",
        "encoding": "utf-8",
    }
    assert seen["path"] == "/a?b=c"
    assert seen["host"] == f"localhost:{port}"
    assert seen["x-token"] == "t"
    assert seen["user-agent"] == "writ-agent"


async def test_a_body_that_is_no_text_is_base64(run):
    async def handler(path, headers, writer):
        answer(writer, b"\xff\0")

    async with serving(handler) as port:
        output = await run(OPEN, {"url": f"http://127.0.0.1:{port}"}, domains=LOCAL)
    assert (output["body"], output["encoding"]) == (base64.b64encode(b"\xff\0").decode(), "base64")


@pytest.mark.parametrize("domains", [None, (), ("example.com",), ("*.0.0.1",)])
async def test_a_host_that_no_rule_lists_is_not_even_looked_up(run, domains, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: pytest.fail("looked up"))
    await fails(run(OPEN, {"url": "http://127.0.0.1:1/"}, domains=domains), "domain_not_allowed")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "0x7f.1", "2130706433", "127.1", "0", "[::ffff:7f00:1]",
     "169.254.169.254", "[64:ff9b::7f00:1]"],
)  # fmt: skip
async def test_an_address_that_is_not_public_is_refused_in_every_spelling(run, host):
    call = run(HttpGet(), {"url": f"http://{host}:1/"}, domains=("*",))
    await fails(call, "address_not_allowed")


async def test_the_address_that_was_checked_is_the_one_connected_to(run, monkeypatch):
    calls = []
    real = socket.getaddrinfo

    def rebinding(host, port, *args, **kwargs):
        calls.append(host)
        first = len(calls) == 1
        return real("127.0.0.1" if first else "127.0.0.2", port, *args, **kwargs)

    async def handler(path, headers, writer):
        answer(writer, headers["host"].encode())

    async with serving(handler) as port:
        monkeypatch.setattr(socket, "getaddrinfo", rebinding)
        output = await run(OPEN, {"url": f"http://name.test:{port}/"}, domains=("name.test",))
    assert output["body"] == f"name.test:{port}"
    assert calls == ["name.test"]


async def test_of_several_addresses_only_the_allowed_ones_are_tried(run, monkeypatch):
    real = socket.getaddrinfo

    def both(host, port, *args, **kwargs):
        return [*real("10.0.0.1", port, *args, **kwargs), *real("127.0.0.1", port, *args, **kwargs)]

    async def handler(path, headers, writer):
        answer(writer, b"here")

    async with serving(handler) as port:
        monkeypatch.setattr(socket, "getaddrinfo", both)
        output = await run(OPEN, {"url": f"http://name.test:{port}/"}, domains=("*",))
    assert output["body"] == "here"


async def test_redirects_are_checked_like_the_first(run):
    async def handler(path, headers, writer):
        goals = {
            "/address": "http://10.0.0.1/",
            "/domain": "http://example.org/",
            "/file": "file:///etc/passwd",
            "/credentials": "http://a:b@127.0.0.1/",
            "/loop": "/loop",
        }
        if path in goals:
            answer(writer, status=302, Location=goals[path])
        elif path.startswith("/count/"):
            left = int(path.rpartition("/")[2])
            target = f"/count/{left - 1}" if left > 1 else "/end"
            answer(writer, status=307, Location=target)
        else:
            answer(writer, path.encode())

    async with serving(handler) as port:
        base, domains = f"http://127.0.0.1:{port}", ("127.0.0.1", "10.0.0.1")
        for path, code in {
            "/address": "address_not_allowed",
            "/domain": "domain_not_allowed",
            "/file": "bad_redirect",
            "/credentials": "bad_redirect",
            "/loop": "too_many_redirects",
            f"/count/{MAX_REDIRECTS + 1}": "too_many_redirects",
        }.items():
            await fails(run(OPEN, {"url": base + path}, domains=domains), code)
        output = await run(OPEN, {"url": f"{base}/count/{MAX_REDIRECTS}"}, domains=domains)
    assert output["body"] == "/end"


async def test_credentials_do_not_follow_to_another_origin(run):
    seen = []

    async def second(path, headers, writer):
        seen.append(headers)
        answer(writer, b"end")

    async with serving(second) as other:

        async def first(path, headers, writer):
            seen.append(headers)
            target = "/again" if path == "/" else f"http://127.0.0.1:{other}/"
            answer(writer, status=302, Location=target)

        async with serving(first) as port:
            secret = {"Authorization": "Bearer x", "X-Api-Key": "k", "Cookie": "c=1"}
            params = {"url": f"http://127.0.0.1:{port}/", "headers": {**secret, "Accept": "a/b"}}
            await run(OPEN, params, domains=LOCAL)
    assert [("authorization" in headers, "x-api-key" in headers) for headers in seen] == [
        (True, True),
        (True, True),
        (False, False),
    ]
    assert seen[2]["accept"] == "a/b"
    assert "cookie" not in seen[2]


async def test_a_body_is_bounded_plain_chunked_and_packed(run):
    async def handler(path, headers, writer):
        if path == "/plain":
            answer(writer, b"x" * 100_001)
        elif path == "/chunked":
            writer.write(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(200):
                writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
        elif path == "/bomb":
            answer(writer, gzip.compress(b"x" * 50_000_000), Content_Encoding="gzip")
        elif path == "/fits":
            answer(writer, gzip.compress(b"x" * 100_000), Content_Encoding="gzip")
        elif path == "/broken":
            answer(writer, b"no gzip", Content_Encoding="gzip")
        else:
            answer(writer, gzip.compress(b"x" * 1000)[:-4], Content_Encoding="gzip")

    async with serving(handler) as port:
        for path, code in {
            "/plain": "response_too_big",
            "/chunked": "response_too_big",
            "/bomb": "response_too_big",
            "/broken": "bad_response",
            "/short": "bad_response",
        }.items():
            await fails(run(OPEN, {"url": f"http://127.0.0.1:{port}{path}"}, domains=LOCAL), code)
        output = await run(OPEN, {"url": f"http://127.0.0.1:{port}/fits"}, domains=LOCAL)
    assert output["body"] == "x" * 100_000
    assert "content-encoding" not in output["headers"]


async def test_a_broken_answer_has_a_code(run):
    async def handler(path, headers, writer):
        if path == "/garbage":
            writer.write(b"\x16\x03\x01 garbage\r\n\r\n")
        elif path == "/headers":
            writer.write(b"HTTP/1.1 200 X\r\n" + b"A: b\r\n" * 5000 + b"\r\n")
        elif path == "/short":
            writer.write(b"HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\nshort")

    async with serving(handler) as port:
        for path, code in {
            "/garbage": "bad_response",
            "/headers": "bad_response",
            "/short": "connection_failed",
            "/closed": "bad_response",
        }.items():
            url = f"http://127.0.0.1:{port}{path}"
            await fails(run(OPEN, {"url": url}, domains=LOCAL), code)
    url = f"http://127.0.0.1:{port}/"
    await fails(run(OPEN, {"url": url}, domains=LOCAL), "connection_failed")


@pytest.mark.parametrize("slow", ["silent", "headers", "body"])
async def test_a_slow_host_is_left_when_the_time_is_up(run, slow):
    async def handler(path, headers, writer):
        if slow == "body":
            writer.write(b"HTTP/1.1 200 X\r\nContent-Length: 100000\r\n\r\n")
        elif slow == "headers":
            writer.write(b"HTTP/1.1 200 X\r\nA: ")
        while not writer.is_closing():
            if slow != "silent":
                writer.write(b"x")
                await writer.drain()
            await asyncio.sleep(0.05)

    async with serving(handler) as port, asyncio.timeout(8):
        call = run(OPEN, {"url": f"http://127.0.0.1:{port}/"}, domains=LOCAL, seconds=0.5)
        await fails(call, "http_timed_out")


async def test_cancelling_shuts_the_connection(run):
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def handler(path, headers, writer):
        arrived.set()
        while not writer.is_closing():
            writer.write(b"x")
            await asyncio.sleep(0.01)
        gone.set()

    async with serving(handler) as port, asyncio.timeout(8):
        url = f"http://127.0.0.1:{port}/"
        task = asyncio.create_task(run(OPEN, {"url": url}, domains=LOCAL))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await gone.wait()


@pytest.fixture
def certificate(tmp_path, monkeypatch):
    """A server context for `name.test`, trusted through the system's way to name a store."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "name.test")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("name.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    return context, trusted


async def test_tls_checks_the_name_of_the_url_not_the_address(run, certificate, monkeypatch):
    context, trusted = certificate
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda h, p, *a, **k: real("127.0.0.1", p, *a, **k))

    async def handler(path, headers, writer):
        if path == "/down":
            answer(writer, status=302, Location="http://name.test/")
        else:
            answer(writer, b"secret")

    async with serving(handler, ssl=context) as port:
        url = f"https://name.test:{port}"
        await fails(run(OPEN, {"url": url}, domains=("*",)), "tls_failed")
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        assert (await run(OPEN, {"url": url}, domains=("*",)))["body"] == "secret"
        await fails(run(OPEN, {"url": f"{url}/down"}, domains=("*",)), "bad_redirect")
        call = run(OPEN, {"url": f"https://other.test:{port}"}, domains=("*",))
        await fails(call, "tls_failed")


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"url": "ftp://example.com"},
        {"url": "http://a:b@example.com"},
        {"url": "http://example.com", "headers": {"Host": "other"}},
        {"url": "http://example.com", "headers": {"Transfer-Encoding": "chunked"}},
        {"url": "http://example.com", "headers": {"X": "a\r\nY: b"}},
        {"url": "http://example.com", "headers": {"X Y": "a"}},
        {"url": "http://example.com", "headers": {"X": 1}},
        {"url": "http://example.com", "headers": {"X": "1", "x": "2"}},
        {"url": "http://example.com", "headers": {f"X-{n}": "1" for n in range(51)}},
        {"url": "http://example.com", "headers": {"X": "v" * 9000}},
        {"url": "http://example.com", "method": "POST"},
    ],
)
def test_params_that_do_not_fit_are_bad_params(params):
    with pytest.raises(BadParamsError):
        parse_params(OPEN, params)


def test_the_client_library_is_loaded_with_the_first_order_only():
    code = (
        "import sys, agentd.executors.registry\n"
        "sys.exit({'urllib3', 'agentd.executors.http_exchange'} & set(sys.modules) != set())"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
