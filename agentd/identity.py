"""Who this agent is: its data folder, its key, the root it trusts, and that it runs only once.

Owns `key.pem` (PKCS#8, 0600 in 0700), `key.next.pem` while a rotation is under way,
`encryption.pem`, `root.did` and `lock`. Must not know the wire: it hands out keys and a pin.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from agentd.errors import AlreadyRunningError, IdentityError
from protocol.errors import Error
from protocol.key_files import (
    check_key_file_mode,
    encode_private_key_pem,
    parse_private_key_pem,
)
from protocol.keys import PublicKey, SigningKey, fingerprint
from protocol.sealing import EncryptionKey, encode_encryption_key, parse_encryption_key

KEY_FILE = "key.pem"
NEXT_KEY_FILE = "key.next.pem"
ENCRYPTION_KEY_FILE = "encryption.pem"
ROOT_FILE = "root.did"
FORMER_ROOTS_FILE = "root.former"
LOCK_FILE = "lock"
_MAX_KEY_FILE_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Identity:
    """The key in force, the key that a rotation is moving to, and the pinned root (or None)."""

    key: SigningKey
    next_key: SigningKey | None
    root: PublicKey | None

    @property
    def did(self) -> str:
        """The agent's DID."""
        return self.key.public_key.did

    @property
    def fingerprint(self) -> str | None:
        """What console, CLI and dashboard show alike; None until the root is known."""
        return None if self.root is None else fingerprint(self.root, self.key.public_key)


def ensure_data_dir(data_dir: Path) -> None:
    """Make the data folder (0700) where it is missing; refuse a wide mode or a foreign owner.

    Raises:
        IdentityError: it cannot be made, is no folder, or others may enter it.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = data_dir.stat()
    except OSError as exc:
        raise IdentityError(f"no data folder at {data_dir}: {exc.strerror}") from exc
    if status.st_uid != os.getuid():
        raise IdentityError(f"{data_dir} belongs to another user")
    if status.st_mode & 0o077:
        raise IdentityError(f"{data_dir} is open to others: chmod 700 it")


def has_key(data_dir: Path) -> bool:
    """Whether a key file lies in the data folder."""
    return (data_dir / KEY_FILE).exists()


def load_identity(
    data_dir: Path, *, make_key: bool = True, passphrase: bytes | None = None
) -> Identity:
    """Return the identity in `data_dir`; a missing key is made when `make_key`.

    Raises:
        IdentityError: no key and not `make_key`, unreadable, or with modes that others can use.
    """
    ensure_data_dir(data_dir)
    path = data_dir / KEY_FILE
    if not path.exists():
        if not make_key:
            raise IdentityError(f"no key at {path}: `writ agent join` or `run` makes one")
        save_key(path, SigningKey.from_seed(os.urandom(32)), passphrase)
    next_path = data_dir / NEXT_KEY_FILE
    return Identity(
        key=load_key(path, passphrase),
        next_key=load_key(next_path, passphrase) if next_path.exists() else None,
        root=load_root(data_dir),
    )


def load_key(path: Path, passphrase: bytes | None = None) -> SigningKey:
    """Return the private key in `path`.

    Raises:
        IdentityError: unreadable, no PKCS#8 Ed25519 key, or the file or folder is open to others.
    """
    try:
        return parse_private_key_pem(_read_guarded(path), passphrase)
    except Error as exc:
        raise IdentityError(f"{path}: {exc.message}") from exc


def load_encryption_key(data_dir: Path) -> EncryptionKey:
    """Return the key that params are sealed to; made at the first call, of its own randomness.

    Raises:
        IdentityError: unreadable, no X25519 key, or open to others.
    """
    path = data_dir / ENCRYPTION_KEY_FILE
    if not path.exists():
        _write_whole(path, encode_encryption_key(EncryptionKey(os.urandom(32))))
    try:
        return parse_encryption_key(_read_guarded(path))
    except Error as exc:
        raise IdentityError(f"{path}: {exc.message}") from exc


def save_key(path: Path, key: SigningKey, passphrase: bytes | None = None) -> None:
    """Write `key` to `path` (0600) whole or not at all; it is on the disk when this returns."""
    salt = None if passphrase is None else os.urandom(32)
    _write_whole(path, encode_private_key_pem(key, passphrase, salt=salt))


def prepare_next_key(data_dir: Path, passphrase: bytes | None = None) -> PublicKey:
    """Return the next key's public half; the key is made where no rotation is under way.

    Raises:
        IdentityError: there is no key to move from, or the files cannot be trusted as they lie.
    """
    identity = load_identity(data_dir, make_key=False, passphrase=passphrase)
    if identity.next_key is not None:
        return identity.next_key.public_key
    key = SigningKey.from_seed(os.urandom(32))
    save_key(data_dir / NEXT_KEY_FILE, key, passphrase)
    return key.public_key


def promote_next_key(data_dir: Path) -> None:
    """Make the next key the key: one rename, so a crash leaves either the old state or the new."""
    os.replace(data_dir / NEXT_KEY_FILE, data_dir / KEY_FILE)
    _sync_folder(data_dir)


def load_root(data_dir: Path) -> PublicKey | None:
    """Return the pinned root, or None when nothing was pinned yet.

    Raises:
        IdentityError: the pin is unreadable; never treated as absent.
    """
    path = data_dir / ROOT_FILE
    try:
        return PublicKey.parse_did(path.read_text("ascii").strip())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, Error) as exc:
        raise IdentityError(f"the pinned root in {path} is unreadable") from exc


def pin_root(data_dir: Path, root: PublicKey) -> None:
    """Write the root's DID beside the key, for good.

    Raises:
        IdentityError: another root is pinned already; an operator must remove it by hand.
    """
    pinned = load_root(data_dir)
    if pinned is not None:
        if pinned != root:
            raise IdentityError(
                f"another root is pinned in {data_dir / ROOT_FILE}: {pinned.did}; not {root.did}"
            )
        return
    _write_whole(data_dir / ROOT_FILE, root.did.encode("ascii") + b"\n")


def replace_root(data_dir: Path, root: PublicKey) -> None:
    """Pin the root that the pinned one has named; the one before is remembered by name only.

    Raises:
        IdentityError: it could not be written; the pin is as it was.
    """
    pinned = load_root(data_dir)
    if pinned is None or pinned == root:
        return
    former = [*load_former_roots(data_dir), pinned.did]
    _write_whole(data_dir / FORMER_ROOTS_FILE, "".join(f"{did}\n" for did in former).encode())
    _write_whole(data_dir / ROOT_FILE, root.did.encode("ascii") + b"\n")


def load_former_roots(data_dir: Path) -> list[str]:
    """Return the DIDs of roots that were pinned before; settings may still name one of them.

    Raises:
        IdentityError: the list is unreadable.
    """
    try:
        return (data_dir / FORMER_ROOTS_FILE).read_text("ascii").split()
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as exc:
        raise IdentityError(f"{data_dir / FORMER_ROOTS_FILE} is unreadable") from exc


class InstanceLock:
    """Holds the data folder for one process; the kernel drops it when the process dies."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / LOCK_FILE
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            AlreadyRunningError: another process holds it.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            os.close(descriptor)
            raise AlreadyRunningError(f"another agent runs in {self._path.parent}") from exc
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the folder back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> InstanceLock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _read_guarded(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            folder = path.parent.stat()
            check_key_file_mode(
                file_mode=status.st_mode,
                file_uid=status.st_uid,
                folder_mode=folder.st_mode,
                folder_uid=folder.st_uid,
                own_uid=os.getuid(),
            )
            return file.read(_MAX_KEY_FILE_BYTES)
    except OSError as exc:
        raise IdentityError(f"cannot read {path}: {exc.strerror}") from exc


def _write_whole(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as exc:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise IdentityError(f"cannot write {path}: {exc.strerror}") from exc
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
