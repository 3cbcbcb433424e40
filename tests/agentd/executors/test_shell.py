from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from pathlib import Path

import pytest

from agentd.errors import ExecutorError
from agentd.executors.base import count_output_bytes, parse_params
from agentd.executors.settings import parse_executor_settings
from agentd.executors.shell import ShellExec
from agentd.sandbox import Sandbox, SandboxLimits
from agentd.workspace import Workspace
from protocol import limits
from protocol.errors import BadParamsError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
SHELL = ShellExec()
TELLS_ITS_ID = (
    "import os, time\n"
    "open('t', 'w').write(str(os.getpid())); os.rename('t', 'pid')\n"
    "time.sleep(600)\n"
)
PYTHON = os.path.realpath(sys.executable)
PYTHON_FILES = os.path.realpath(sys.base_prefix)


def script(workspace: Workspace, body: str) -> list[str]:
    (workspace.root / "script.py").write_text(body)
    return [sys.executable, "-I", "-S", "script.py"]


async def until(condition, seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the kernel tells nobody
            await asyncio.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def list_processes_in(folder: Path) -> list[str]:
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{name}/cwd") == str(folder):
                found.append(name)
    return found


async def test_a_program_gets_its_arguments_as_they_are(run):
    output = await run(SHELL, {"argv": ["printf", "%s|", "a b", "$HOME", "; ls", "*"]})
    assert output == {
        "exitCode": 0,
        "stdout": "a b|$HOME|; ls|*|",
        "stderr": "",
        "truncated": False,
    }


async def test_a_non_zero_exit_is_an_output(run):
    output = await run(SHELL, {"argv": ["sh", "-c", "echo no >&2; exit 7"]})
    assert (output["exitCode"], output["stderr"]) == (7, "no\n")


async def test_a_signal_shows_below_zero(run):
    assert (await run(SHELL, {"argv": ["sh", "-c", "kill -9 $$"]}))["exitCode"] == -9


async def test_stdin_is_what_was_given_or_empty(run):
    assert (await run(SHELL, {"argv": ["cat"], "stdin": "hällo"}))["stdout"] == "hällo"
    assert (await run(SHELL, {"argv": ["cat"]}))["stdout"] == ""
    # A program that does not listen is no failure.
    assert (await run(SHELL, {"argv": ["true"], "stdin": "x" * 500_000}))["exitCode"] == 0


async def test_environment_folder_and_descriptors_are_clean(run, workspace, monkeypatch):
    monkeypatch.setenv("AGENT_SECRET", "hunter2")
    inherited = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(inherited, True)
    body = (
        "import os, json, resource, signal\n"
        "fds = [int(n) for n in os.listdir('/proc/self/fd')]\n"
        "status = dict(l.split(':', 1) for l in open('/proc/self/status'))\n"
        "print(json.dumps({'env': dict(os.environ), 'cwd': os.getcwd(), 'fds': fds,\n"
        "  'nnp': status['NoNewPrivs'].strip(), 'bound': status['CapBnd'].strip(),\n"
        "  'core': resource.getrlimit(resource.RLIMIT_CORE)[1],\n"
        "  'leader': os.getsid(0) == os.getpid(),\n"
        "  'ignored': status['SigIgn'].strip()}))\n"
    )
    try:
        output = await run(SHELL, {"argv": script(workspace, body)})
    finally:
        os.close(inherited)
    seen = json.loads(output["stdout"])
    home = str(workspace.root)
    assert set(seen["env"]) <= {"PATH", "HOME", "TMPDIR", "LANG", "LC_CTYPE"}
    assert seen["env"]["HOME"] == seen["cwd"] == home
    assert sorted(seen["fds"])[:3] == [0, 1, 2]
    assert len(seen["fds"]) == 4  # and the one that lists them
    assert seen["nnp"] == "1"
    assert seen["core"] == 0
    assert seen["leader"]
    if os.geteuid() == 0:
        assert int(seen["bound"], 16) == 0


async def test_output_is_bounded_and_read_to_its_end(run):
    output = await run(
        SHELL,
        {"argv": ["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; echo end >&2"]},
        sandbox=Sandbox(limits=SandboxLimits(output_bytes=1000)),
    )
    assert output["exitCode"] == 0
    assert output["stdout"] == "x" * 1000
    assert output["stderr"] == "end\n"
    assert output["truncated"] is True


async def test_output_full_of_escapes_still_fits_a_result(run):
    output = await run(SHELL, {"argv": ["sh", "-c", "yes '\x01\x02\x03' | head -c 90000"]})
    assert output["truncated"] is True
    assert count_output_bytes(output) <= limits.MAX_OUTPUT_BYTES


async def test_a_missing_program_and_one_that_is_no_program_have_codes(run, workspace):
    with pytest.raises(ExecutorError) as missing:
        await run(SHELL, {"argv": ["no-such-program-here"]})
    assert missing.value.code == "command_not_found"
    (workspace.root / "plain").write_text("text")
    with pytest.raises(ExecutorError) as plain:
        await run(SHELL, {"argv": ["./plain"]})
    assert plain.value.code == "command_not_executable"


async def test_when_the_time_is_up_grandchildren_with_their_own_session_end_too(run, workspace):
    body = (
        "import os, time, sys\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        open('pid.tmp', 'w').write(str(os.getpid())); os.rename('pid.tmp', 'pid')\n"
        "        time.sleep(600)\n"
        "    os._exit(0)\n"
        "time.sleep(600)\n"
    )
    with pytest.raises(ExecutorError) as caught:
        await run(SHELL, {"argv": script(workspace, body), "timeoutSeconds": 1})
    assert caught.value.code == "command_timed_out"
    pid = int((workspace.root / "pid").read_text())
    assert not is_running(pid)


async def test_what_is_left_in_the_background_ends_with_the_program(run, workspace):
    output = await run(SHELL, {"argv": ["sh", "-c", "setsid sleep 600 & echo $!"]})
    assert output["exitCode"] == 0
    assert not is_running(int(output["stdout"]))


async def test_cancelling_ends_the_program_before_it_returns(run, workspace):
    task = asyncio.create_task(run(SHELL, {"argv": script(workspace, TELLS_ITS_ID)}))
    await until((workspace.root / "pid").exists)
    pid = int((workspace.root / "pid").read_text())
    assert is_running(pid)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not is_running(pid)


async def test_the_end_of_the_agent_ends_the_program(workspace):
    argv, root = script(workspace, TELLS_ITS_ID), str(workspace.root)
    agent = (
        "import asyncio, sys, pathlib\n"
        "from agentd.sandbox import Sandbox\nfrom agentd.workspace import Workspace\n"
        f"workspace = Workspace(pathlib.Path({root!r}))\n"
        f"asyncio.run(Sandbox().run({argv!r}, workspace=workspace, timeout_seconds=600))\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", agent)
    try:
        await until((workspace.root / "pid").exists)
    finally:
        process.kill()
        await process.wait()
    pid = int((workspace.root / "pid").read_text())
    await until(lambda: not is_running(pid))


async def test_limits_of_memory_files_and_processor_time_hold(run, workspace):
    def within(**bounds) -> Sandbox:
        return Sandbox(limits=SandboxLimits(**bounds))

    big = script(workspace, "x = bytearray(1 << 30)\n")
    output = await run(SHELL, {"argv": big}, sandbox=within(memory_bytes=300 << 20))
    assert output["exitCode"] == 1
    assert "MemoryError" in output["stderr"]
    argv = ["sh", "-c", "head -c 100000 /dev/zero > big; wc -c < big"]
    output = await run(SHELL, {"argv": argv}, sandbox=within(file_bytes=4096))
    assert output["stdout"].strip() == "4096"
    spin = script(workspace, "while True: pass\n")
    output = await run(SHELL, {"argv": spin}, sandbox=within(cpu_seconds=1))
    assert output["exitCode"] < 0


async def test_a_fork_bomb_is_ended_and_leaves_nothing(run, workspace):
    body = (
        "import os, time\n"
        "while True:\n"
        "    try:\n"
        "        if os.fork() == 0: time.sleep(600)\n"
        "    except OSError: time.sleep(0.01)\n"
    )
    started = time.monotonic()
    with pytest.raises(ExecutorError) as caught:
        await run(
            SHELL,
            {"argv": script(workspace, body), "timeoutSeconds": 5},
            sandbox=Sandbox(limits=SandboxLimits(processes=30)),
        )
    # Root's processes are counted by the launcher; for others the kernel refuses the fork.
    expected = "too_many_processes" if os.geteuid() == 0 else "command_timed_out"
    assert caught.value.code == expected
    assert time.monotonic() - started < 20
    assert list_processes_in(workspace.root) == []


@pytest.mark.parametrize("inside", [True, False])
async def test_the_agents_own_folder_is_hidden_and_its_processes_are_out_of_reach(
    run, tmp_path, workspace, inside
):
    data_dir = tmp_path if inside else tmp_path / "data"
    (data_dir / "keys").mkdir(parents=True)
    (data_dir / "keys" / "key.pem").write_text("key")
    (tmp_path / "link").symlink_to(data_dir)
    settings = parse_executor_settings({}, data_dir=data_dir)
    sandbox = settings.make_sandbox()
    output = await run(
        SHELL, {"argv": ["sh", "-c", "echo ok > mine; cat mine; ls / /usr"]}, sandbox=sandbox
    )
    assert (output["exitCode"], output["stdout"][:3]) == (0, "ok\n"), output
    probe = await run(SHELL, {"argv": ["sh", "-c", f"kill -0 {os.getpid()}"]}, sandbox=sandbox)
    if probe["exitCode"] == 0:
        pytest.skip("this kernel's Landlock cannot keep signals in")
    for command in (
        f"cat {data_dir}/keys/key.pem",
        f"cat {tmp_path}/link/keys/key.pem",
        f"cat /proc/self/root/{data_dir}/keys/key.pem",
        f"cat /proc/{os.getpid()}/root/{data_dir}/keys/key.pem",
        f"echo x > {data_dir}/new",
        f"mv {data_dir}/keys .",
        f"ln {data_dir}/keys/key.pem mine2",
        f"cat /proc/{os.getpid()}/environ",
        "kill -9 $PPID",
    ):
        output = await run(SHELL, {"argv": ["sh", "-c", command]}, sandbox=sandbox)
        assert output["exitCode"] > 0, (command, output)
        assert output["stdout"] != "key"
    assert not (data_dir / "new").exists()


async def test_a_confined_program_sees_its_workspace_and_no_other_files(run, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("key")
    confined = Sandbox(level="confined")
    try:
        output = await run(
            SHELL, {"argv": ["sh", "-c", "echo ok > mine; cat mine"]}, sandbox=confined
        )
    except ExecutorError as exc:
        if exc.code == "sandbox_unavailable":
            pytest.skip("this kernel has no Landlock")
        raise
    assert (output["exitCode"], output["stdout"]) == (0, "ok\n")
    for argv in (["cat", str(secret)], ["ls", "/"], ["sh", "-c", f"echo x > {tmp_path}/new"]):
        output = await run(SHELL, {"argv": argv}, sandbox=confined)
        assert output["exitCode"] != 0
        assert "denied" in output["stderr"]
    assert not (tmp_path / "new").exists()


async def test_an_isolated_program_has_no_network(run, workspace):
    body = (
        "import socket\ns = socket.socket()\ns.settimeout(2)\n"
        "print(s.connect_ex(('127.0.0.1', int(open('port').read()))), socket.if_nameindex())\n"
    )
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    (workspace.root / "port").write_text(str(server.sockets[0].getsockname()[1]))
    (workspace.root / "script.py").write_text(body)
    argv = [PYTHON, "-I", "-S", "script.py"]
    async with server:
        with_network = await run(SHELL, {"argv": argv})
        try:
            output = await run(
                SHELL, {"argv": argv}, sandbox=Sandbox(level="isolated", readable=(PYTHON_FILES,))
            )
        except ExecutorError as exc:
            if exc.code == "sandbox_unavailable":
                pytest.skip("this machine gives no namespaces or Landlock")
            raise
    assert with_network["stdout"].startswith("0 "), with_network
    assert output["exitCode"] == 0, output
    assert not output["stdout"].startswith("0 ")


def test_an_unknown_level_is_refused():
    with pytest.raises(ExecutorError) as caught:
        Sandbox(level="perfect")
    assert caught.value.code == "sandbox_unavailable"


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"argv": []},
        {"argv": [""]},
        {"argv": "ls"},
        {"argv": ["ls", 1]},
        {"argv": ["a\0b"]},
        {"argv": ["x" * 200_000]},
        {"argv": ["ls"], "timeoutSeconds": 0},
        {"argv": ["ls"], "timeoutSeconds": "5"},
        {"argv": ["ls"], "shell": True},
    ],
)
def test_params_that_do_not_fit_are_bad_params(params):
    with pytest.raises(BadParamsError):
        parse_params(SHELL, params)
