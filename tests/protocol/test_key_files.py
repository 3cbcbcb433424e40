"""Key files are what the real openssl reads and writes, and lie where nobody else can reach."""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import KeyFileError
from protocol.key_files import (
    MAX_KEY_FILE_BYTES,
    check_key_file_mode,
    encode_private_key_pem,
    parse_private_key_pem,
)
from protocol.keys import SigningKey
from tests.protocol.material import ROOT

SALT = bytes(range(32))
PASSPHRASE = b"correct horse"


def openssl(*arguments: str, data: bytes = b"") -> bytes:
    binary = shutil.which("openssl")
    if binary is None:
        pytest.skip("OPENSSL ABSENT: key files are NOT PROVED against it here")
    return subprocess.run([binary, *arguments], input=data, capture_output=True, check=True).stdout


@given(st.binary(min_size=32, max_size=32))
def test_a_key_comes_back_from_its_file(seed: bytes) -> None:
    key = SigningKey.from_seed(seed)
    assert parse_private_key_pem(encode_private_key_pem(key)).seed == seed


def test_openssl_reads_a_plain_key_file() -> None:
    pem = encode_private_key_pem(ROOT)
    text = openssl("pkey", "-in", "/dev/stdin", "-noout", "-text", data=pem)
    shown = "".join(text.decode().split()).replace(":", "")
    assert ROOT.seed.hex() in shown
    assert ROOT.public_key.raw.hex() in shown


def test_openssl_writes_back_exactly_the_plain_file() -> None:
    pem = encode_private_key_pem(ROOT)
    assert openssl("pkey", "-in", "/dev/stdin", data=pem) == pem


def test_a_key_that_openssl_made_is_read() -> None:
    pem = openssl("genpkey", "-algorithm", "ed25519")
    public_der = openssl("pkey", "-in", "/dev/stdin", "-pubout", "-outform", "DER", data=pem)
    assert parse_private_key_pem(pem).public_key.raw == public_der[-32:]


def test_openssl_opens_a_protected_file_with_its_passphrase() -> None:
    pem = encode_private_key_pem(ROOT, PASSPHRASE, salt=SALT)
    assert b"ENCRYPTED" in pem
    found = openssl("pkey", "-in", "/dev/stdin", "-passin", "pass:correct horse", data=pem)
    assert found == encode_private_key_pem(ROOT)


@pytest.mark.parametrize("options", [["-v2", "aes-256-cbc"], ["-scrypt"]])
def test_a_file_that_openssl_protected_is_read(options: list[str]) -> None:
    plain = encode_private_key_pem(ROOT)
    pem = openssl("pkcs8", "-topk8", *options, "-passout", "pass:correct horse", data=plain)
    assert parse_private_key_pem(pem, PASSPHRASE).seed == ROOT.seed


def test_a_protected_file_opens_with_its_passphrase_only() -> None:
    pem = encode_private_key_pem(ROOT, PASSPHRASE, salt=SALT)
    assert parse_private_key_pem(pem, PASSPHRASE).seed == ROOT.seed
    assert ROOT.seed not in pem
    for wrong in (None, b"", b"wrong"):
        with pytest.raises(KeyFileError, match="passphrase") as caught:
            parse_private_key_pem(pem, wrong)
        assert "horse" not in str(caught.value)


def test_other_salt_makes_another_file() -> None:
    first = encode_private_key_pem(ROOT, PASSPHRASE, salt=SALT)
    assert encode_private_key_pem(ROOT, PASSPHRASE, salt=SALT) == first
    assert encode_private_key_pem(ROOT, PASSPHRASE, salt=SALT[::-1]) != first


@pytest.mark.parametrize("salt", [None, b"", b"short"])
def test_a_passphrase_takes_its_salt(salt: bytes | None) -> None:
    with pytest.raises(ValueError, match="salt"):
        encode_private_key_pem(ROOT, PASSPHRASE, salt=salt)


def test_an_empty_passphrase_is_refused() -> None:
    with pytest.raises(KeyFileError):
        encode_private_key_pem(ROOT, b"", salt=SALT)


def test_without_the_extra_only_plain_files_work(monkeypatch: pytest.MonkeyPatch) -> None:
    protected = encode_private_key_pem(ROOT, PASSPHRASE, salt=SALT)
    for name in [name for name in sys.modules if name.split(".")[0] == "cryptography"]:
        monkeypatch.setitem(sys.modules, name, None)
    assert parse_private_key_pem(encode_private_key_pem(ROOT)).seed == ROOT.seed
    with pytest.raises(KeyFileError, match="extra"):
        parse_private_key_pem(protected, PASSPHRASE)
    with pytest.raises(KeyFileError, match="extra"):
        encode_private_key_pem(ROOT, PASSPHRASE, salt=SALT)


def pem_of(der: bytes, label: str = "PRIVATE KEY") -> bytes:
    text = base64.b64encode(der).decode()
    return f"-----BEGIN {label}-----\n{text}\n-----END {label}-----\n".encode()


V2 = bytes.fromhex("3051020101300506032b657004220420") + ROOT.seed + bytes.fromhex("812100")


def test_the_newer_form_with_the_public_key_is_read() -> None:
    assert parse_private_key_pem(pem_of(V2 + ROOT.public_key.raw)).seed == ROOT.seed


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"not a key",
        b"x" * (MAX_KEY_FILE_BYTES + 1),
        encode_private_key_pem(ROOT)[:-30],
        encode_private_key_pem(ROOT) * 2,
        encode_private_key_pem(ROOT).replace(b"PRIVATE", b"PUBLIC"),
        pem_of(b"\x30\x03\x02\x01\x00"),
        pem_of(bytes.fromhex("302e020100300506032b657004220420") + ROOT.seed + b"\0"),
        pem_of(bytes.fromhex("302e020100300506032b657004220420") + ROOT.seed[:-1]),
        pem_of(bytes.fromhex("302e020100300506032b656e04220420") + ROOT.seed),
        pem_of(V2 + bytes(32)),
        pem_of(V2[:20]),
        b"-----BEGIN PRIVATE KEY-----\nMC=4\n-----END PRIVATE KEY-----\n",
    ],
)
def test_anything_else_is_no_key_file(pem: bytes) -> None:
    with pytest.raises(KeyFileError) as caught:
        parse_private_key_pem(pem)
    assert ROOT.seed.hex() not in str(caught.value)


@pytest.mark.parametrize("algorithm", ["x25519", "ed448"])
def test_another_kind_of_key_is_refused(algorithm: str) -> None:
    pem = openssl("genpkey", "-algorithm", algorithm)
    with pytest.raises(KeyFileError):
        parse_private_key_pem(pem)
    protected = openssl("pkcs8", "-topk8", "-passout", "pass:correct horse", data=pem)
    with pytest.raises(KeyFileError):
        parse_private_key_pem(protected, PASSPHRASE)


@given(st.binary(max_size=200))
def test_reading_raises_nothing_but_its_own_error(noise: bytes) -> None:
    for pem in (noise, pem_of(noise), pem_of(noise, "ENCRYPTED PRIVATE KEY")):
        with pytest.raises(KeyFileError):
            parse_private_key_pem(pem, PASSPHRASE)


@pytest.mark.parametrize(("file_mode", "folder_mode"), [(0o100600, 0o40700), (0o100400, 0o40500)])
def test_private_modes_of_ones_own_pass(file_mode: int, folder_mode: int) -> None:
    check_key_file_mode(
        file_mode=file_mode, file_uid=7, folder_mode=folder_mode, folder_uid=7, own_uid=7
    )


@pytest.mark.parametrize(
    ("file_mode", "file_uid", "folder_mode", "folder_uid"),
    [
        (0o640, 7, 0o700, 7),
        (0o604, 7, 0o700, 7),
        (0o620, 7, 0o700, 7),
        (0o700, 7, 0o700, 7),
        (0o4600, 7, 0o700, 7),
        (0o600, 7, 0o750, 7),
        (0o600, 7, 0o701, 7),
        (0o600, 8, 0o700, 7),
        (0o600, 7, 0o700, 0),
    ],
)
def test_wider_modes_and_foreign_owners_are_refused(
    file_mode: int, file_uid: int, folder_mode: int, folder_uid: int
) -> None:
    with pytest.raises(KeyFileError):
        check_key_file_mode(
            file_mode=file_mode,
            file_uid=file_uid,
            folder_mode=folder_mode,
            folder_uid=folder_uid,
            own_uid=7,
        )
