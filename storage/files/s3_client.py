"""The connection to an S3 server: how it is made, and what its errors mean here.

Owns the botocore client and the translation of its errors. Messages carry the server's error code
only: what botocore prints may hold keys, hosts and signed URLs.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from storage.errors import ConflictError, NotFoundError, StorageError, UnavailableError
from storage.files.credentials import S3Credentials
from storage.files.errors import BadFileStoreUrlError, FileStoreError, FileStoreRefusedError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

THREADS: Final = 16
CONNECT_SECONDS: Final = 5
READ_SECONDS: Final = 30
ATTEMPTS: Final = 3
DEFAULT_REGION: Final = "us-east-1"

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_MISSING: Final = {"NoSuchKey", "NotFound", "404"}
_CONFLICT: Final = {"PreconditionFailed", "ConditionalRequestConflict", "412"}
_BUSY: Final = {"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "Throttling"}
_SAFE_CODE = re.compile(r"[A-Za-z0-9.]{1,60}")


def make_client(
    bucket: str,
    *,
    credentials: S3Credentials | None,
    endpoint: str | None,
    region: str | None,
) -> S3Client:
    """Return a client for one bucket, with bounded time and retries; nothing is sent yet.

    Raises:
        BadFileStoreUrlError: no such bucket or endpoint can be.
    """
    if _BUCKET.fullmatch(bucket) is None:
        raise BadFileStoreUrlError("s3://bucket/prefix: no such bucket name")
    if endpoint is not None:
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise BadFileStoreUrlError("an S3 endpoint is an http or https URL")
    try:
        session = boto3.session.Session(
            aws_access_key_id=None if credentials is None else credentials.access_key_id,
            aws_secret_access_key=None if credentials is None else credentials.secret_access_key,
            aws_session_token=None if credentials is None else credentials.session_token,
            region_name=region or DEFAULT_REGION,
        )
        return session.client(
            "s3",
            endpoint_url=endpoint,
            config=Config(
                signature_version="s3v4",  # boto3 would presign with version 2
                s3={"addressing_style": "path", "payload_signing_enabled": True},
                retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                max_pool_connections=THREADS,
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
    except (BotoCoreError, ValueError) as exc:
        raise BadFileStoreUrlError(f"no S3 client: {type(exc).__name__}") from None


@contextlib.contextmanager
def translated(key: str = "") -> Iterator[None]:
    """Turn what botocore raises into errors of storage, without its texts.

    Raises:
        NotFoundError: no such file.
        ConflictError: a condition does not hold.
        FileStoreRefusedError: credentials, permissions, or the bucket.
        UnavailableError: the server is away or busy.
        FileStoreError: anything else.
    """
    try:
        yield
    except ClientError as exc:
        raise _translate(exc, key) from None
    except (NoCredentialsError, PartialCredentialsError):
        raise FileStoreRefusedError("the S3 store has no credentials") from None
    except ParamValidationError:
        raise FileStoreError("the S3 store refused a parameter") from None
    except (BotoCoreError, OSError) as exc:
        raise UnavailableError(f"the S3 store is away: {type(exc).__name__}") from None


def _translate(error: ClientError, key: str) -> StorageError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    shown = code if _SAFE_CODE.fullmatch(code) else str(status)
    if code in _MISSING:
        return NotFoundError(f"no file {key}")
    if code in _CONFLICT or status == 412:
        return ConflictError(f"the file {key} is not as the write demands")
    if code == "NoSuchBucket" or status in (401, 403):
        return FileStoreRefusedError(f"the S3 store refused: {shown}")
    if code == "NotImplemented" or status == 501:
        return FileStoreError("the S3 store does not know what was asked")
    if code in _BUSY or status >= 500 or status == 429:
        return UnavailableError(f"the S3 store is busy: {shown}")
    return FileStoreError(f"the S3 store answered {shown}")
