"""The base install is the agent: small, quick, and whole without any extra."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from controlplane.dashboard.build import is_built

CHECKOUT = Path(__file__).resolve().parents[2]
MAX_PACKAGES = 20
MAX_BYTES = 25 * 1024 * 1024


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the distribution and nothing but its base dependencies."""
    folder = tmp_path_factory.mktemp("base") / "venv"
    venv.create(folder, with_pip=True)
    wheel_folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"),
            *("--no-build-isolation", "--wheel-dir", str(wheel_folder), str(CHECKOUT)),
        ],
        # Without the pages where building them would need npm: they are not what is tested here.
        env={**os.environ, **({} if is_built() else {"WRIT_BUILD_DASHBOARD": "0"})},
        capture_output=True,
        text=True,
        check=False,
    )
    if "No module named 'hatchling'" in built.stderr:
        pytest.skip("hatchling is not installed beside the tests")
    assert built.returncode == 0, built.stderr
    (wheel,) = wheel_folder.glob("*.whl")
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", str(wheel)]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode != 0 and "No matching distribution" in done.stderr:
        pytest.skip(f"no package index: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return folder


def _python(base: Path, code: str) -> str:
    done = subprocess.run(
        [str(base / "bin" / "python"), "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=base,
    )
    return done.stdout


def test_it_has_at_most_twenty_packages_and_25_megabytes(base: Path) -> None:
    code = (
        "import importlib.metadata as m, json; "
        "print(json.dumps(sorted(d.name.lower() for d in m.distributions())))"
    )
    names = set(json.loads(_python(base, code))) - {"pip", "setuptools"}
    assert len(names) <= MAX_PACKAGES, sorted(names)
    site = next((base / "lib").glob("python*/site-packages"))
    not_ours = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence")
    size = sum(
        path.stat().st_size
        for path in site.rglob("*")
        if path.is_file()
        and path.parent.name != "__pycache__"  # Python's own copies: 9 MB more once it has them
        and not path.relative_to(site).parts[0].startswith(not_ours)
    )
    assert size <= MAX_BYTES, f"{size / 2**20:.1f} MiB"


def test_the_agent_and_the_command_line_start_without_any_server_library(base: Path) -> None:
    code = (
        "import sys, agentd.main, agentd.cli, controlplane.cli.main, controlplane.cli.work; "
        "heavy = {'sqlalchemy', 'starlette', 'boto3', 'litellm', 'cel', 'orjson', 'yaml'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert _python(base, code).strip() == "[]"


def test_every_command_shows_its_help(base: Path) -> None:
    writ = str(base / "bin" / "writ")
    listing = subprocess.run([writ, "--help"], capture_output=True, text=True, check=True)
    names = [
        line.split()[0]
        for line in listing.stdout.partition("Commands:")[2].splitlines()
        if line.startswith("  ") and not line.startswith("   ")
    ]
    assert "agent" in names
    assert "run" in names
    for name in names:
        done = subprocess.run([writ, name, "--help"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"writ {name} --help: {done.stderr}"


def test_a_hub_without_its_extra_says_what_to_install(base: Path) -> None:
    done = subprocess.run(
        [str(base / "bin" / "writ"), "hub", "doctor"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "writd[hub]" in done.stderr
    assert "Traceback" not in done.stderr
