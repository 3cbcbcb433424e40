"""Owns what a private-key file looks like and how it must lie on disk; the edges open it.

PKCS#8 (RFC 8410) in PEM, as `openssl pkey` reads and writes it. A passphrase makes it PBES2
(RFC 8018): PBKDF2-HMAC-SHA256 and AES-256-CBC; that form alone needs the `keys` extra.
"""

from __future__ import annotations

import binascii
import hashlib
import re
import stat
from typing import Final

from protocol.errors import KeyFileError
from protocol.keys import SEED_BYTES, SigningKey

SALT_BYTES: Final = 32
"""Fresh random bytes for each encrypted file: 16 for the key derivation, 16 for the cipher."""
PBKDF2_ITERATIONS: Final = 600_000
MAX_KEY_FILE_BYTES: Final = 16 * 1024

_PEM = re.compile(
    rb"-----BEGIN ((?:ENCRYPTED )?PRIVATE KEY)-----\s+([A-Za-z0-9+/=\s]+?)\s*"
    rb"-----END \1-----\s*"
)
_PLAIN_LABEL = b"PRIVATE KEY"
_ENCRYPTED_LABEL = b"ENCRYPTED PRIVATE KEY"
# SEQUENCE { INTEGER 0, SEQUENCE { OID 1.3.101.112 }, OCTET STRING { OCTET STRING(32) } }
_PKCS8_PREFIX = bytes.fromhex("302e020100300506032b657004220420")
# The same with version 1 and, after the seed, the public key as [1] BIT STRING (RFC 5958).
_PKCS8_V2_PREFIX = bytes.fromhex("3051020101300506032b657004220420")
_PKCS8_V2_PUBLIC = bytes.fromhex("812100")

_OID_PBES2 = bytes.fromhex("06092a864886f70d01050d")
_OID_PBKDF2 = bytes.fromhex("06092a864886f70d01050c")
_HMAC_SHA256 = bytes.fromhex("300c06082a864886f70d02090500")
_OID_AES_256_CBC = bytes.fromhex("060960864801650304012a")


def encode_private_key_pem(
    key: SigningKey, passphrase: bytes | None = None, *, salt: bytes | None = None
) -> bytes:
    """Return the PEM bytes of a private-key file.

    Args:
        key: the private key.
        passphrase: encrypts the file when given; not empty.
        salt: 32 fresh random bytes; needed with a passphrase, and only then.

    Raises:
        KeyFileError: an empty passphrase, or the `keys` extra is not installed.
        ValueError: a passphrase without 32 bytes of salt.
    """
    plain = _PKCS8_PREFIX + key.seed
    if passphrase is None:
        return _encode_pem(_PLAIN_LABEL, plain)
    if not passphrase:
        raise KeyFileError("an empty passphrase protects nothing")
    if salt is None or len(salt) != SALT_BYTES:
        raise ValueError(f"an encrypted key file takes {SALT_BYTES} random bytes of salt")
    return _encode_pem(_ENCRYPTED_LABEL, _encrypt(plain, passphrase, salt))


def parse_private_key_pem(pem: bytes, passphrase: bytes | None = None) -> SigningKey:
    """Return the Ed25519 key of a private-key file.

    Args:
        pem: the file's bytes; one key and nothing else.
        passphrase: for an encrypted file; ignored by a plain one.

    Raises:
        KeyFileError: no such file, another kind of key, or a missing or wrong passphrase. The
            message never repeats what was read.
    """
    match = _PEM.fullmatch(pem.strip()) if len(pem) <= MAX_KEY_FILE_BYTES else None
    if match is None:
        raise KeyFileError("not a private key in PEM form")
    if match[1] == _ENCRYPTED_LABEL:
        return _decrypt(pem, passphrase)
    try:
        der = binascii.a2b_base64(b"".join(match[2].split()), strict_mode=True)
    except ValueError as exc:
        raise KeyFileError("not a private key in PEM form") from exc
    return _parse_pkcs8(der)


def check_key_file_mode(
    *, file_mode: int, file_uid: int, folder_mode: int, folder_uid: int, own_uid: int
) -> None:
    """Return when nobody else can read, replace or own a key file.

    Args:
        file_mode: `st_mode` of the file; at most 0600.
        file_uid: its owner.
        folder_mode: `st_mode` of the folder it lies in; at most 0700.
        folder_uid: the folder's owner.
        own_uid: the user this process runs as.

    Raises:
        KeyFileError: a wider mode, or a foreign owner.
    """
    for noun, mode, uid, most in (
        ("file", file_mode, file_uid, 0o600),
        ("folder", folder_mode, folder_uid, 0o700),
    ):
        if uid != own_uid:
            raise KeyFileError(f"the key {noun} belongs to user {uid}, not to {own_uid}")
        permissions = stat.S_IMODE(mode)
        if permissions & ~most:
            raise KeyFileError(f"the key {noun} has mode {permissions:04o}, wider than {most:04o}")


def _parse_pkcs8(der: bytes) -> SigningKey:
    seed_end = len(_PKCS8_PREFIX) + SEED_BYTES
    seed = der[len(_PKCS8_PREFIX) : seed_end]
    if der.startswith(_PKCS8_PREFIX) and len(der) == seed_end:
        return SigningKey.from_seed(seed)
    if der.startswith(_PKCS8_V2_PREFIX) and len(seed) == SEED_BYTES:
        key = SigningKey.from_seed(seed)
        if der[seed_end:] == _PKCS8_V2_PUBLIC + key.public_key.raw:
            return key
    raise KeyFileError("not an Ed25519 private key in PKCS#8 form")


def _encode_pem(label: bytes, der: bytes) -> bytes:
    text = binascii.b2a_base64(der, newline=False)
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return b"\n".join(
        [b"-----BEGIN " + label + b"-----", *lines, b"-----END " + label + b"-----", b""]
    )


def _encrypt(plain: bytes, passphrase: bytes, salt: bytes) -> bytes:
    try:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    except ImportError as exc:
        raise KeyFileError("a passphrase needs the `keys` extra") from exc
    kdf_salt, iv = salt[:16], salt[16:]
    secret = hashlib.pbkdf2_hmac("sha256", passphrase, kdf_salt, PBKDF2_ITERATIONS, 32)
    padding = 16 - len(plain) % 16
    encryptor = Cipher(algorithms.AES256(secret), modes.CBC(iv)).encryptor()
    data = encryptor.update(plain + bytes([padding]) * padding) + encryptor.finalize()
    # The leading bit is clear, so three bytes spell the count as a positive INTEGER.
    iterations = _der(0x02, PBKDF2_ITERATIONS.to_bytes(3, "big"))
    kdf = _der(0x30, _OID_PBKDF2 + _der(0x30, _der(0x04, kdf_salt) + iterations + _HMAC_SHA256))
    cipher = _der(0x30, _OID_AES_256_CBC + _der(0x04, iv))
    scheme = _der(0x30, _OID_PBES2 + _der(0x30, kdf + cipher))
    return _der(0x30, scheme + _der(0x04, data))


def _der(tag: int, content: bytes) -> bytes:
    """Return one DER element; everything here is shorter than 256 bytes."""
    size = bytes([len(content)]) if len(content) < 0x80 else bytes([0x81, len(content)])
    return bytes([tag]) + size + content


def _decrypt(pem: bytes, passphrase: bytes | None) -> SigningKey:
    if not passphrase:
        raise KeyFileError("the key file is protected by a passphrase")
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError as exc:
        raise KeyFileError("a passphrase needs the `keys` extra") from exc
    try:
        key = load_pem_private_key(pem, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise KeyFileError("the passphrase does not open the key file") from exc
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError("not an Ed25519 private key")
    return SigningKey.from_seed(key.private_bytes_raw())
