"""What is freed in the midst of a heap goes back to the system, where its C library can do that."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import pytest

from controlplane.unused_memory import give_back_unused

BLOCK_BYTES, BLOCKS = 4_096, 8_192


def resident_kb() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0])


def test_what_is_free_between_what_is_kept_is_given_back() -> None:
    if sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"):
        pytest.skip("this C library gives back by itself, or never")
    library = ctypes.CDLL(None)
    library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    library.free.argtypes = [ctypes.c_void_p]
    blocks = [library.malloc(BLOCK_BYTES) for _ in range(BLOCKS)]
    for block in blocks:
        ctypes.memset(block, 1, BLOCK_BYTES)
    full_kb = resident_kb()
    for block in blocks[: BLOCKS // 2]:  # below the others, so that the heap cannot shrink
        library.free(block)
    assert give_back_unused()
    given_back_kb = full_kb - resident_kb()
    for block in blocks[BLOCKS // 2 :]:
        library.free(block)
    assert given_back_kb > BLOCKS // 4 * BLOCK_BYTES // 1024
