"""A small program between the agent and a command: it limits, starts, watches and ends it.

Run as a file by `agentd.sandbox` with `python -I -S`, so it imports the standard library only.
It adopts every orphan of the command (subreaper), so a child that made a session of its own is
ended with the rest; and it ends everything when its control socket closes, so the death of the
agent ends the command too.

Control socket, one JSON text per line: in comes the order `{argv, env, limits, level, readable,
hidden}`,
out goes one of `{"exit": code}` (below 0: the signal that ended it) and `{"error", "message"}`.
End of file on it means: end everything now.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import itertools
import json
import os
import resource
import select
import signal
import socket
import stat
import struct
import sys
import time
from typing import Any, NoReturn

LINUX = sys.platform == "linux"
WATCH_SECONDS = 0.1
END_SECONDS = 5.0
LAST_CAPABILITY = 63

PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 24, 36, 38
CLONE_NEWUSER, CLONE_NEWNET, CLONE_NEWIPC = 0x10000000, 0x40000000, 0x08000000

SYS_LANDLOCK_CREATE, SYS_LANDLOCK_ADD, SYS_LANDLOCK_RESTRICT = 444, 445, 446
LANDLOCK_VERSION_FLAG, LANDLOCK_PATH_BENEATH = 1, 1
LANDLOCK_EXECUTE, LANDLOCK_WRITE_FILE, LANDLOCK_READ_FILE, LANDLOCK_READ_DIR = 1, 2, 4, 8
LANDLOCK_TRUNCATE, LANDLOCK_IOCTL = 1 << 14, 1 << 15
LANDLOCK_SCOPES = 1 | 2  # abstract sockets, signals
READ_ONLY = LANDLOCK_EXECUTE | LANDLOCK_READ_FILE | LANDLOCK_READ_DIR
FILE_RIGHTS = (
    LANDLOCK_EXECUTE | LANDLOCK_WRITE_FILE | LANDLOCK_READ_FILE | LANDLOCK_TRUNCATE | LANDLOCK_IOCTL
)
MAX_GRANTED_ENTRIES = 10_000
SYSTEM_FOLDERS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt", "/etc/alternatives")
SYSTEM_FILES = (
    "/etc/ld.so.cache", "/etc/passwd", "/etc/group", "/etc/hosts", "/etc/resolv.conf",
    "/etc/nsswitch.conf", "/etc/localtime", "/etc/ssl/openssl.cnf",
)  # fmt: skip
SYSTEM_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
CERTIFICATES = ("/etc/ssl/certs", "/etc/pki/tls/certs")

libc = ctypes.CDLL(None, use_errno=True)


class LaunchError(Exception):
    """The command was not started; `code` is what the order fails with."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def prctl(option: int, argument: int) -> bool:
    """Set one attribute of this process; whether the kernel took it."""
    return bool(libc.prctl(option, ctypes.c_ulong(argument), 0, 0, 0) == 0)


def count_own_tasks() -> int:
    """Return how many tasks the user already has: the kernel's limit counts them all together."""
    total = 0
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                if name.isdigit() and os.stat(f"/proc/{name}").st_uid == os.getuid():
                    total += len(os.listdir(f"/proc/{name}/task"))
    return total


def set_limits(limits: dict[str, int]) -> None:
    """Apply the limits of the order to this process and so to all it starts."""
    table = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: limits["cpuSeconds"],
        resource.RLIMIT_AS: limits["memoryBytes"],
        resource.RLIMIT_FSIZE: limits["fileBytes"],
        resource.RLIMIT_NOFILE: limits["openFiles"],
        resource.RLIMIT_NPROC: limits["processes"] + count_own_tasks(),
    }
    for kind, wanted in table.items():
        _, hard = resource.getrlimit(kind)
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (value, value))


def leave_network() -> None:
    """Move this process into user, network and IPC namespaces of its own: no network at all."""
    uid, gid = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC) != 0:
        raise LaunchError("sandbox_unavailable", f"namespaces: {os.strerror(ctypes.get_errno())}")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {uid} 1"),
        ("gid_map", f"{gid} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


class FileRules:
    """Landlock rules in the making: what a process and its children may reach, nothing else.

    Beside files they keep it from sending signals to processes outside and from reading or
    tracing these (the agent, its launcher), where the kernel is new enough.
    """

    def __init__(self) -> None:
        version = libc.syscall(SYS_LANDLOCK_CREATE, None, 0, LANDLOCK_VERSION_FLAG)
        if version < 1:
            raise LaunchError("sandbox_unavailable", "this kernel has no Landlock")
        # Rights of the first version are bits 0 to 12; versions 2, 3 and 5 add one each.
        self.every_right = (1 << (13 + (version >= 2) + (version >= 3) + (version >= 5))) - 1
        scoped = LANDLOCK_SCOPES if version >= 6 else 0
        size = 24 if version >= 6 else 8
        attribute = ctypes.create_string_buffer(struct.pack("=QQQ", self.every_right, 0, scoped))
        self._rules = libc.syscall(SYS_LANDLOCK_CREATE, attribute, ctypes.c_size_t(size), 0)
        if self._rules < 0:
            raise LaunchError("sandbox_unavailable", "Landlock refused the rules")

    def allow(self, descriptor: int, rights: int) -> None:
        """Grant rights at and below an open file or folder."""
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= FILE_RIGHTS  # the kernel answers rights of folders on a file with EINVAL
        packed = struct.pack("=Qi", rights & self.every_right, descriptor)
        rule = ctypes.create_string_buffer(packed)
        if libc.syscall(SYS_LANDLOCK_ADD, self._rules, LANDLOCK_PATH_BENEATH, rule, 0) != 0:
            raise LaunchError("sandbox_unavailable", "Landlock refused a rule")

    def allow_path(self, path: str, rights: int, *, follow: bool = True) -> None:
        """Grant rights at and below a path; none where it does not exist."""
        try:
            flags = os.O_PATH | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
            descriptor = os.open(path, flags)
        except OSError:
            return
        try:
            self.allow(descriptor, rights)
        finally:
            os.close(descriptor)

    def allow_all_but(self, hidden: list[str]) -> None:
        """Grant everything except what lies at or below `hidden`.

        Rules only grant, so everything beside the way to a hidden folder is granted by itself; in
        the folders on that way nothing new can be made. Links are left out: their targets count.
        """
        ways = [os.path.realpath(path).rstrip("/") for path in hidden]
        pending = ["/"]
        while pending:
            folder = pending.pop()
            with contextlib.suppress(OSError), os.scandir(folder) as entries:
                for entry in itertools.islice(entries, MAX_GRANTED_ENTRIES):
                    if entry.path in ways or entry.is_symlink():
                        continue
                    if any(way.startswith(f"{entry.path}/") for way in ways):
                        pending.append(entry.path)
                    else:
                        self.allow_path(entry.path, self.every_right, follow=False)
        self.allow_path("/", LANDLOCK_READ_DIR)

    def enforce(self) -> None:
        """Put this process under the rules, for good."""
        if libc.syscall(SYS_LANDLOCK_RESTRICT, self._rules, 0) != 0:
            raise LaunchError("sandbox_unavailable", "Landlock could not be switched on")
        os.close(self._rules)


def confine_files(workspace: int, readable: list[str]) -> None:
    """Let this process see the workspace, the system's programs and `readable`; nothing else."""
    rules = FileRules()
    rules.allow(workspace, rules.every_right)
    for path in (*SYSTEM_FOLDERS, *CERTIFICATES, *readable):
        rules.allow_path(path, READ_ONLY)
    for path in SYSTEM_FILES:
        rules.allow_path(path, LANDLOCK_READ_FILE)
    for path in SYSTEM_DEVICES:
        rules.allow_path(path, LANDLOCK_READ_FILE | LANDLOCK_WRITE_FILE)
    rules.enforce()


def hide_files(workspace: int, hidden: list[str]) -> None:
    """Let this process see everything but `hidden`; a kernel that cannot do this is let be."""
    with contextlib.suppress(LaunchError):
        rules = FileRules()
        rules.allow_all_but(hidden)
        # Where it lies around a hidden folder it has been granted piece by piece already.
        within = os.readlink(f"/proc/self/fd/{workspace}") + "/"
        if any(within.startswith(os.path.realpath(path) + "/") for path in hidden):
            rules.allow(workspace, rules.every_right)
        rules.enforce()


def become_command(
    order: dict[str, Any], workspace: int, supervisor: int, failures: int
) -> NoReturn:
    """Turn this fresh child into the command; what fails is written to `failures`."""
    try:
        os.setsid()
        for number in (signal.SIGPIPE, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        os.umask(0o077)
        os.fchdir(workspace)
        if LINUX:
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != supervisor:
                os._exit(125)
            if not prctl(PR_SET_NO_NEW_PRIVS, 1):
                raise LaunchError("sandbox_unavailable", "no_new_privs was refused")
        if order["level"] == "isolated":
            leave_network()
        if order["level"] in ("confined", "isolated"):
            confine_files(workspace, order["readable"])
        elif order["hidden"]:
            hide_files(workspace, order["hidden"])
        if LINUX and os.geteuid() == 0:
            # A command of an agent that runs as root keeps root's files and none of its powers.
            for capability in range(LAST_CAPABILITY + 1):
                prctl(PR_CAPBSET_DROP, capability)
        set_limits(order["limits"])
        os.closerange(3, failures)
        os.closerange(failures + 1, max(failures + 1, order["limits"]["openFiles"]))
        os.execvpe(order["argv"][0], order["argv"], order["env"])  # noqa: S606 - never a shell
    except LaunchError as exc:
        report = {"error": exc.code, "message": str(exc)}
    except OSError as exc:
        missing = exc.errno in (errno.ENOENT, errno.ENOTDIR)
        code = "command_not_found" if missing else "command_not_executable"
        report = {"error": code, "message": os.strerror(exc.errno or 0)}
    except BaseException as exc:
        report = {"error": "sandbox_failed", "message": type(exc).__name__}
    with contextlib.suppress(OSError):
        os.write(failures, json.dumps(report).encode())
    os._exit(126)


def list_descendants(ancestor: int) -> list[int]:
    """Return the ids of all living processes below `ancestor`; empty where there is no /proc."""
    parents: dict[int, int] = {}
    try:
        names = os.listdir("/proc")
    except OSError:
        return []
    for name in names:
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
                if fields[0] not in (b"Z", b"X"):
                    parents[int(name)] = int(fields[1])
    found: list[int] = []
    level = {ancestor}
    while level:
        level = {pid for pid, parent in parents.items() if parent in level}
        found.extend(level)
    return found


def end_everything(command: int) -> None:
    """Kill the command and all below it; on return they are gone and reaped (or 5 s have passed).

    Stopped first and killed then: what cannot run cannot fork away between look and kill.
    """
    with contextlib.suppress(OSError):
        os.killpg(command, signal.SIGKILL)
    deadline = time.monotonic() + END_SECONDS
    while time.monotonic() < deadline:
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in list_descendants(os.getpid()):
                with contextlib.suppress(OSError):
                    os.kill(pid, number)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.002)


def supervise(
    command: int, control: socket.socket, wake: int, limits: dict[str, int]
) -> int | None:
    """Wait for the command; return its exit code, or None when it was to be ended early."""
    # The kernel exempts root from its own limit of processes, so somebody has to count.
    count = LINUX and os.geteuid() == 0
    while True:
        ready, _, _ = select.select(
            [control.fileno(), wake], [], [], WATCH_SECONDS if count else None
        )
        if control.fileno() in ready:
            return None
        if wake in ready:
            os.read(wake, 4096)
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == command:
                    return os.waitstatus_to_exitcode(status)
                if pid == 0:
                    break
        if count and len(list_descendants(os.getpid())) > limits["processes"]:
            raise LaunchError("too_many_processes", f"more than {limits['processes']} processes")


def receive_order(control: socket.socket) -> dict[str, Any]:
    """Return the order of the agent, which is one line."""
    received = b""
    while not received.endswith(b"\n"):
        chunk = control.recv(65536)
        if not chunk:
            sys.exit(0)
        received += chunk
    order: dict[str, Any] = json.loads(received)
    return order


def launch(control: socket.socket, workspace: int) -> dict[str, Any]:
    """Start what the control socket orders, see it to its end, and return the report."""
    order = receive_order(control)
    if LINUX:
        prctl(PR_SET_CHILD_SUBREAPER, 1)
    elif order["level"] != "process":
        return {"error": "sandbox_unavailable", "message": f"{order['level']} needs Linux"}
    wake, woken = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK) if LINUX else os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    failure, failures = os.pipe()
    supervisor = os.getpid()
    command = os.fork()
    if command == 0:
        become_command(order, workspace, supervisor, failures)
    os.close(failures)
    os.close(workspace)
    # Whoever reads the command's output waits for the last holder of its ends: not for us.
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    try:
        refused = b""
        while chunk := os.read(failure, 4096):
            refused += chunk
        if refused:
            report: dict[str, Any] = json.loads(refused)
            return report
        return {"exit": supervise(command, control, wake, order["limits"])}
    except LaunchError as exc:
        return {"error": exc.code, "message": str(exc)}
    finally:
        end_everything(command)


def main() -> None:
    """Serve one order on the descriptors named on the command line: control, workspace."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    workspace = int(sys.argv[2])
    os.set_inheritable(workspace, False)
    report = launch(control, workspace)
    with contextlib.suppress(OSError):
        control.sendall(json.dumps(report).encode() + b"\n")


if __name__ == "__main__":
    main()
