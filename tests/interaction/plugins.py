"""A plug-in as somebody else would install it: a distribution whose action says what it uses."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from tests.interaction.processes import CHECKOUT

ASK: Final = "model.ask"
_MODULE: Final = '''
from agentd.executors.base import Params, check_output


class Question(Params):
    tokens: int
    cents: float


class Ask:
    """Asks no model: it says that it has used what it was told to."""

    name, capability, description, idempotent = "model.ask", "model", "ask a model", True
    params_model = Question

    async def execute(self, work):
        asked = work.params_as(Question)
        work.progress("usage", {"tokens": asked.tokens, "cents": asked.cents})
        return check_output("done", work)
'''


def install_model(site: Path) -> dict[str, str]:
    """Lay the distribution down in `site`; return the environment of an agent that has it."""
    info = site / "writ_model_double-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "writ_model_double.py").write_text(_MODULE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: writ-model-double\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[writ.executors]\nask = writ_model_double:Ask\n")
    return {"PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(site)])}
