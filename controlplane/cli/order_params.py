"""The params of an order on the command line: `-p key=value` and `--params FILE`."""

from __future__ import annotations

import json
from typing import Any

import click

from controlplane.cli.fleet import load_structured


def read_params(options: dict[str, Any]) -> dict[str, Any]:
    """Return the params that the options `params_file` and `params` spell; `-p` wins.

    Raises:
        click.UsageError: no object, or a pair without a key.
    """
    params: dict[str, Any] = {}
    if options["params_file"] is not None:
        loaded = load_structured(options["params_file"].read())
        if not isinstance(loaded, dict):
            raise click.UsageError("--params must hold an object")
        params.update(loaded)
    for pair in options["params"]:
        name, sep, text = pair.partition("=")
        if not sep or not name:
            raise click.UsageError(f"-p {pair}: key=value")
        try:
            params[name] = json.loads(text)
        except ValueError:
            params[name] = text
    return params
