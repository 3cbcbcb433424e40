"""Count the words of a file: an example of an action that is not built in."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import Annotated

from pydantic import BaseModel, Field, JsonValue

from agentd.errors import ExecutorError
from agentd.executors.base import Params, Work

MAX_FILE_BYTES = 16 * 1024 * 1024


class CountParams(Params):
    """Params of `words.count`."""

    path: str
    most: Annotated[int, Field(ge=0, le=100)] = 10


class WordsCount:
    """`words.count`: the output is `{words, most: [{word, count}]}`."""

    name = "words.count"
    capability = "words"
    description = "Count the words of a text file and name the most frequent ones."
    idempotent = True
    params_model: type[BaseModel] = CountParams

    async def execute(self, work: Work) -> JsonValue:
        """Count.

        Raises:
            ExecutorError: those of `Workspace.read`; `not_text`.
        """
        params = work.params_as(CountParams)
        # The workspace blocks on the disk, so it is read in a thread.
        content = await asyncio.to_thread(
            work.workspace.read, params.path, max_bytes=MAX_FILE_BYTES
        )
        try:
            words = Counter(re.findall(r"\w+", content.decode().lower()))
        except UnicodeDecodeError:
            raise ExecutorError("not_text", "the file is no UTF-8 text") from None
        most: list[JsonValue] = [
            {"word": word, "count": count} for word, count in words.most_common(params.most)
        ]
        return {"words": words.total(), "most": most}
