"""What must stay light stays light: neither `writ --help` nor an agent's start loads a giant."""

from __future__ import annotations

import subprocess
import sys

import pytest

GIANTS = ("litellm", "sqlalchemy", "starlette", "boto3", "alembic", "urllib3", "cel", "rich")


@pytest.mark.parametrize(
    "statement",
    [
        "import controlplane.cli.main as m; m.writ.main(['--help'], standalone_mode=False)",
        "import agentd.main, agentd.agent, agentd.supervisor, agentd.connection",
    ],
    ids=["writ --help", "agentd"],
)
def test_no_giant_is_imported(statement: str) -> None:
    code = f"import sys\n{statement}\nprint('GIANTS', sorted(set(sys.modules) & set({GIANTS!r})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "GIANTS []"
