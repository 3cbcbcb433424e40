"""The action `shell.exec`: one program with its arguments, in the sandbox, without a shell."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, JsonValue, field_validator

from agentd.executors.base import Params, Work, check_output, count_output_bytes
from agentd.sandbox import Completed

MAX_ARGUMENTS = 1_000
MAX_ARGUMENTS_CHARS = 100_000
DEFAULT_TIMEOUT_SECONDS = 60
MAX_TIMEOUT_SECONDS = 86_400


class ExecParams(Params):
    """Params of `shell.exec`; `timeout_seconds` never outlives the order's own."""

    argv: Annotated[list[str], Field(min_length=1, max_length=MAX_ARGUMENTS)]
    stdin: str | None = None
    timeout_seconds: Annotated[float, Field(gt=0, le=MAX_TIMEOUT_SECONDS)] = DEFAULT_TIMEOUT_SECONDS

    @field_validator("argv")
    @classmethod
    def _runnable(cls, argv: list[str]) -> list[str]:
        if not argv[0]:
            raise ValueError("the first argument names the program")
        if any("\0" in argument for argument in argv):
            raise ValueError("an argument holds no zero byte")
        if sum(len(argument) for argument in argv) > MAX_ARGUMENTS_CHARS:
            raise ValueError(
                f"all arguments together have at most {MAX_ARGUMENTS_CHARS} characters"
            )
        return argv


class ShellExec:
    """`shell.exec`: the output is `{exitCode, stdout, stderr, truncated}`.

    `exitCode` below 0 is the signal that ended the program. Output that is no UTF-8 is shown with
    replacement characters.
    """

    name = "shell.exec"
    capability = "shell"
    description = "Run a program with arguments in the workspace, in a clean environment."
    idempotent = False
    params_model: type[BaseModel] = ExecParams

    async def execute(self, work: Work) -> JsonValue:
        """Run it to its end; whatever its exit code, the order has then succeeded.

        Raises:
            ExecutorError: those of `Sandbox.run`.
        """
        params = work.params_as(ExecParams)
        done = await work.sandbox.run(
            params.argv,
            workspace=work.workspace,
            stdin=None if params.stdin is None else params.stdin.encode(),
            timeout_seconds=work.remaining_seconds(params.timeout_seconds),
        )
        return check_output(_fit(done, work.max_output_bytes), work)


def _fit(done: Completed, max_bytes: int) -> dict[str, JsonValue]:
    """Return the output, its streams cut in half until it fits: escapes can make it six times."""
    stdout, stderr = _text(done.stdout), _text(done.stderr)
    truncated = done.truncated
    while True:
        output: dict[str, JsonValue] = {
            "exitCode": done.exit_code,
            "stdout": stdout,
            "stderr": stderr,
            "truncated": truncated,
        }
        if count_output_bytes(output) <= max_bytes or not (stdout or stderr):
            return output
        stdout, stderr = stdout[: len(stdout) // 2], stderr[: len(stderr) // 2]
        truncated = True


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
