"""The one task that Celery is measured with."""

from __future__ import annotations

import os

from celery import Celery

URL = os.environ.get("WRIT_BENCH_REDIS", "redis://127.0.0.1:6379/0")
app = Celery("writ-bench", broker=URL, backend=URL)
app.conf.update(task_acks_late=True, worker_prefetch_multiplier=64, result_expires=60)


@app.task
def echo(text: str) -> str:
    """Give it back."""
    return text
