"""Private keys on disk: PKCS#8 PEM, mode 0600, in a folder of mode 0700.

Owns opening, checking and writing the files. The format and the rule about modes are
`protocol.key_files`'s.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from protocol.errors import KeyFileError
from protocol.key_files import (
    SALT_BYTES,
    check_key_file_mode,
    encode_private_key_pem,
    parse_private_key_pem,
)
from protocol.keys import SigningKey
from protocol.sealing import EncryptionKey, encode_encryption_key, parse_encryption_key

SEALING_SUFFIX = ".seal.pem"
_MAX_KEY_FILE_BYTES = 16 * 1024


def load_private_key(path: Path, passphrase: bytes | None = None) -> SigningKey:
    """Return the key in `path`.

    Raises:
        KeyFileError: missing, unreadable, readable by others, or not an Ed25519 key.
    """
    return parse_private_key_pem(load_guarded_bytes(path), passphrase)


def save_private_key(path: Path, key: SigningKey, passphrase: bytes | None = None) -> None:
    """Write `key` to a new file; afterwards it is on disk for good, or nothing is there.

    Raises:
        KeyFileError: the file exists already, or the folder cannot be made private.
    """
    salt = os.urandom(SALT_BYTES) if passphrase is not None else None
    save_private_bytes(path, encode_private_key_pem(key, passphrase, salt=salt))


def load_sealing_key(path: Path, *, create: bool = False) -> EncryptionKey:
    """Return the X25519 key of a person: in `path`, or beside the signing key in `path`.

    Args:
        path: a sealing key file, or a signing key file; `operator.pem` has `operator.seal.pem`.
        create: make the one beside a signing key when it is not there.

    Raises:
        KeyFileError: missing, unreadable, readable by others, or no such key.
    """
    beside = path if path.name.endswith(SEALING_SUFFIX) else path.with_suffix(SEALING_SUFFIX)
    if create and not beside.exists():
        save_private_bytes(beside, encode_encryption_key(EncryptionKey(os.urandom(32))))
    return parse_encryption_key(load_guarded_bytes(beside))


def save_private_bytes(path: Path, data: bytes) -> None:
    """Write `data` to a new file of mode 0600, in a folder made 0700 when it is new."""
    make_private_folder(path.parent)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError as exc:
        raise KeyFileError(f"{path.name} exists already") from exc
    except OSError as exc:
        raise KeyFileError(f"{path.name} cannot be written: {exc.strerror}") from exc
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as exc:
        with contextlib.suppress(OSError):
            path.unlink()
        raise KeyFileError(f"{path.name} cannot be written: {exc.strerror}") from exc
    sync_folder(path.parent)


def make_private_folder(folder: Path) -> None:
    """Make `folder` with mode 0700 when it does not exist; an existing one is left as it is."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise KeyFileError(f"{folder} cannot be made: {exc.strerror}") from exc


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` as durable as the files behind them."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load_guarded_bytes(path: Path) -> bytes:
    """Return what a private file holds.

    Raises:
        KeyFileError: missing, unreadable, or readable by others.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as exc:
        raise KeyFileError(f"{path.name} cannot be opened: {exc.strerror}") from exc
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise KeyFileError(f"{path.name} is not a file")
        folder = path.resolve().parent.stat()
        check_key_file_mode(
            file_mode=status.st_mode,
            file_uid=status.st_uid,
            folder_mode=folder.st_mode,
            folder_uid=folder.st_uid,
            own_uid=os.getuid(),
        )
        data = file.read(_MAX_KEY_FILE_BYTES + 1)
    if len(data) > _MAX_KEY_FILE_BYTES:
        raise KeyFileError(f"{path.name} is too large for a key")
    return data
