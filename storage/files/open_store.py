"""From a URL in the settings to a file store."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from storage.files.base import DEFAULT_MAX_FILE_BYTES, FileStore
from storage.files.credentials import S3Credentials
from storage.files.errors import BadFileStoreUrlError
from storage.files.local import FolderFileStore


def open_file_store(
    url: str,
    *,
    credentials: S3Credentials | None = None,
    endpoint: str | None = None,
    region: str | None = None,
    max_file_bytes: int = DEFAULT_MAX_FILE_BYTES,
) -> FileStore:
    """Return the store that `url` names; nothing is touched yet, `check` does that.

    Args:
        url: a folder's path, `file:///folder`, or `s3://bucket/prefix`.
        credentials: for S3; None takes those the machine offers (environment, role).
        endpoint: URL of an S3 server that is not Amazon's.
        region: for S3; `us-east-1` unless given.
        max_file_bytes: the largest file it takes.

    Raises:
        BadFileStoreUrlError: it names none, or what it needs is not installed.
    """
    # urlsplit would read a drive or a colon in a folder's name as a scheme.
    if "://" not in url:
        return FolderFileStore(Path(url).expanduser(), max_file_bytes=max_file_bytes)
    parts = urlsplit(url)
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise BadFileStoreUrlError("the URL of a file store has no query and no credentials")
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path:
        return FolderFileStore(Path(unquote(parts.path)), max_file_bytes=max_file_bytes)
    if parts.scheme != "s3":
        raise BadFileStoreUrlError("a file store is a folder, file:///folder or s3://bucket/prefix")
    try:
        # Slow to load and an extra of its own: only those who keep files in S3 have it.
        from storage.files.s3 import S3FileStore
    except ImportError as exc:
        raise BadFileStoreUrlError("files in S3 need the extra: pip install 'writd[s3]'") from exc
    return S3FileStore(
        bucket=parts.netloc,
        prefix=parts.path.strip("/"),
        credentials=credentials,
        endpoint=endpoint,
        region=region,
        max_file_bytes=max_file_bytes,
    )
