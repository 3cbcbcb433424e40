"""Turns what went wrong into one line on stderr and the exit code that scripts rely on.

The only table of exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 not allowed or refused by
policy, 5 conflict, 6 timed out, 7 hub unreachable.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Final, NoReturn

import click

from controlplane.cli.plain_text import clean
from protocol.errors import Error, KeyFileError

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
NOT_ALLOWED: Final = 4
CONFLICT: Final = 5
TIMED_OUT: Final = 6
UNREACHABLE: Final = 7

BY_HTTP_STATUS: Final = {
    400: USAGE,
    401: NOT_ALLOWED,
    403: NOT_ALLOWED,
    404: NOT_FOUND,
    408: TIMED_OUT,
    409: CONFLICT,
    410: NOT_FOUND,
    412: CONFLICT,
    422: USAGE,
    428: CONFLICT,
    504: TIMED_OUT,
}
BY_INTENT_STATE: Final = {
    "succeeded": DONE,
    "failed": FAILED,
    "refused": NOT_ALLOWED,
    "cancelled": FAILED,
    "timed_out": TIMED_OUT,
    "interrupted": FAILED,
    "expired": TIMED_OUT,
}


CODES: Final = {
    FAILED: "failed",
    USAGE: "usage",
    NOT_FOUND: "not_found",
    NOT_ALLOWED: "not_allowed",
    CONFLICT: "conflict",
    TIMED_OUT: "timed_out",
    UNREACHABLE: "unreachable",
}
"""What an error of the command line itself is called."""


class CliError(Error):
    """A command could not do what was asked; carries the exit code."""

    code = "cli"

    def __init__(self, message: str, *, exit_code: int = FAILED, code: str | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.problem_code = code or CODES[exit_code]


class UnreachableError(CliError):
    """The hub did not answer at all."""

    def __init__(self, message: str) -> None:
        super().__init__(message, exit_code=UNREACHABLE, code="unreachable")


class ProblemError(CliError):
    """The hub answered with a problem document (RFC 9457)."""

    def __init__(self, status: int, problem: dict[str, object]) -> None:
        code = str(problem.get("code") or f"http_{status}")
        text = str(problem.get("detail") or problem.get("title") or f"HTTP {status}")
        fields = problem.get("errors")
        if isinstance(fields, list) and fields:
            lines = [
                f"{one.get('pointer') or one.get('field') or '?'}: {one.get('detail', '')}"
                for one in fields
                if isinstance(one, dict)
            ]
            told = "; ".join(lines)
            text = told if len(lines) == 1 and text in told else f"{text}: {told}"
        super().__init__(text, exit_code=BY_HTTP_STATUS.get(status, FAILED), code=code)
        self.status = status
        self.problem = problem


def report(error: Error, *, as_json: bool) -> int:
    """Print one error to stderr and return its exit code."""
    exit_code = error.exit_code if isinstance(error, CliError) else FAILED
    if isinstance(error, KeyFileError):
        exit_code = NOT_ALLOWED
    code = error.problem_code if isinstance(error, CliError) else error.code
    if as_json:
        print(json.dumps({"error": {"code": code, "message": error.message}}), file=sys.stderr)
    else:
        # The hub may quote what an agent has said.
        click.echo(clean(f"writ: {error.message} [{code}]", keep="\n"), err=True)
    return exit_code


def run_and_exit(command: click.Command) -> NoReturn:
    """Run a click command; never a traceback for anything a user can cause."""
    as_json = _wants_json(sys.argv[1:])
    try:
        outcome = command.main(prog_name="writ", standalone_mode=False)
        sys.stdout.flush()
        sys.exit(outcome if isinstance(outcome, int) else DONE)
    except click.exceptions.Abort:
        click.echo("writ: interrupted", err=True)
        sys.exit(130)
    except click.exceptions.Exit as exc:
        sys.exit(exc.exit_code)
    except click.ClickException as exc:
        if isinstance(exc, click.exceptions.NoArgsIsHelpError):
            exc.show()
        elif type(exc).show is click.ClickException.show or isinstance(exc, click.UsageError):
            _report_usage(exc, as_json=as_json)
        else:  # the agent's commands have their own form of the same
            exc.show()
        sys.exit(exc.exit_code)
    except BrokenPipeError:
        # whoever read our output has gone: not our failure, and nothing more may be written
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Error as exc:
        sys.exit(report(exc, as_json=as_json))
    except UnicodeDecodeError:
        error = CliError("a file that should be text is not UTF-8", exit_code=USAGE, code="usage")
        sys.exit(report(error, as_json=as_json))
    except OSError as exc:
        about = f"{exc.filename}: " if exc.filename else ""
        sys.exit(report(CliError(f"{about}{exc.strerror or exc}", code="os"), as_json=as_json))
    except Exception as exc:
        if os.environ.get("WRIT_DEBUG"):
            raise
        text = f"a mistake in writ: {type(exc).__name__}; WRIT_DEBUG=1 shows where"
        sys.exit(report(CliError(text, code="internal"), as_json=as_json))


def _report_usage(error: click.ClickException, *, as_json: bool) -> None:
    text = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    if not as_json and context is not None:
        text += f" (see: {context.command_path} --help)"
    report(CliError(text, exit_code=USAGE, code="usage"), as_json=as_json)


def _wants_json(words: list[str]) -> bool:
    joined = " ".join(words)
    return "--json" in words or "-o json" in joined or "-ojson" in words or "=json" in joined
