from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.errors import ExecutorError
from agentd.workspace import Workspace
from agentd.workspace_path import parse_path
from agentd.workspace_walk import TEMPORARY_PREFIX

BIG = 1 << 20


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "secret").write_text("key")
    (tmp_path / "outside").mkdir()
    return Workspace(tmp_path / "workspace")


def code_of(call, *args, **kwargs) -> str:
    with pytest.raises(ExecutorError) as caught:
        call(*args, **kwargs)
    return caught.value.code


OUT = [
    "..",
    "../secret",
    "a/../../secret",
    "./.././secret",
    "/etc/passwd",
    "//etc/passwd",
    "a\0b",
    "../secret\0.txt",
    "%2e%2e/secret",
    "%2e%2e%2fsecret",
    "..%2fsecret",
    "%252e%252e%252fsecret",
    "%2fetc%2fpasswd",
    "..\\secret",
    "..%5csecret",
    "%c0%ae%c0%ae/secret",
    "..%c0%afsecret",
    "\uff0e\uff0e/secret",
    "\u2025/secret",
    "..\uff0fsecret",
    "\udc2e\udc2e/secret",
]


@pytest.mark.parametrize("path", OUT)
def test_a_path_that_leads_out_in_any_spelling_is_refused(workspace, path):
    assert code_of(workspace.read, path, max_bytes=BIG) == "outside_workspace"
    assert code_of(workspace.write, path, b"x") == "outside_workspace"
    assert code_of(workspace.list, path, recursive=True, max_entries=9) == "outside_workspace"
    assert (workspace.root.parent / "secret").read_text() == "key"


@pytest.mark.parametrize(
    "path", ["a%20b", "100%", "a\\b", "...", "..a", "%2e", "ä/\u202e", "~", "-rf"]
)
def test_odd_names_are_just_names(workspace, path):
    workspace.write(path, b"content")
    assert workspace.read(path, max_bytes=BIG) == b"content"


@pytest.mark.parametrize(
    ("path", "names"),
    [("", ()), (".", ()), ("a/./b//c/", ("a", "b", "c")), ("a/../b", ("b",)), ("a/..", ())],
)
def test_dots_are_resolved_inside(path, names):
    assert parse_path(path) == names


@given(st.text(alphabet="./\\%2eEfFac\0\uff0e~", max_size=24))
def test_whatever_is_accepted_stays_inside(path):
    try:
        names = parse_path(path)
    except ExecutorError as exc:
        if exc.code not in ("outside_workspace", "bad_path"):
            raise
    else:
        joined = os.path.normpath("/".join(("/w", *names)))
        assert joined == "/w" or joined.startswith("/w/")


def test_names_and_paths_have_a_length(workspace):
    assert code_of(workspace.write, "x" * 256, b"") == "bad_path"
    assert code_of(workspace.write, "x/" * 3000, b"") == "bad_path"


def test_links_that_lead_out_are_refused_everywhere(workspace, tmp_path):
    root = workspace.root
    (root / "file").symlink_to(tmp_path / "secret")
    (root / "folder").symlink_to(tmp_path / "outside")
    (root / "up").symlink_to("../outside")
    (root / "sub").mkdir()
    (root / "sub" / "climb").symlink_to("../../secret")
    (root / "proc").symlink_to("/proc/self/root")
    for path in ("file", "sub/climb"):
        assert code_of(workspace.read, path, max_bytes=BIG) == "outside_workspace"
        assert code_of(workspace.write, path, b"x") == "outside_workspace"
        assert code_of(workspace.write, path, b"x", append=True) == "outside_workspace"
    for path in ("folder/new", "up/new", "up/a/b", "proc/etc/passwd"):
        assert code_of(workspace.write, path, b"x") == "outside_workspace"
        assert code_of(workspace.read, path, max_bytes=BIG) == "outside_workspace"
    assert code_of(workspace.list, "folder", recursive=False, max_entries=9) == "outside_workspace"
    assert (tmp_path / "secret").read_text() == "key"
    assert list((tmp_path / "outside").iterdir()) == []


def test_links_that_stay_inside_are_followed(workspace):
    root = workspace.root
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "file").write_text("x")
    (root / "short").symlink_to("a/b")
    (root / "a" / "b" / "back").symlink_to("../../a/./b/file")
    assert workspace.read("short/back", max_bytes=BIG) == b"x"
    workspace.write("short/back", b"y")
    assert (root / "a" / "b" / "file").read_text() == "y"
    assert (root / "a" / "b" / "back").is_symlink()


def test_links_in_a_circle_end(workspace):
    (workspace.root / "one").symlink_to("two")
    (workspace.root / "two").symlink_to("one")
    assert code_of(workspace.read, "one", max_bytes=BIG) == "outside_workspace"


def test_a_folder_swapped_for_a_link_in_mid_operation_does_not_lead_out(workspace, tmp_path):
    root, outside = workspace.root, tmp_path / "outside"
    (outside / "file").write_text("key")
    (root / "real").mkdir()
    (root / "real" / "file").write_text("inside")
    os.rename(root / "real", root / "d")
    done = threading.Event()
    thread = threading.Thread(target=lambda: _swap(root, done))
    thread.start()
    outcomes = set()
    try:
        for index in range(3000):
            try:
                outcomes.add(workspace.read("d/file", max_bytes=BIG))
                if index % 5 == 0:
                    workspace.write("d/new", b"x")
            except ExecutorError as exc:
                outcomes.add(exc.code)
    finally:
        done.set()
        thread.join()
    assert b"key" not in outcomes
    assert b"inside" in outcomes
    assert not (outside / "new").exists()


def _swap(root: Path, done: threading.Event) -> None:
    while not done.is_set():
        os.rename(root / "d", root / "kept")
        with contextlib.suppress(FileExistsError):  # a write has made the folder anew
            os.symlink("../outside", root / "d")
            os.unlink(root / "d")
        while True:
            try:
                os.rename(root / "kept", root / "d")
            except OSError:
                shutil.rmtree(root / "d", ignore_errors=True)
            else:
                break


def test_special_files_are_refused_and_never_block(workspace):
    os.mkfifo(workspace.root / "fifo")
    assert code_of(workspace.read, "fifo", max_bytes=BIG) == "not_a_file"
    assert code_of(workspace.write, "fifo", b"x") == "not_a_file"
    assert code_of(workspace.write, "fifo", b"x", append=True) == "not_a_file"
    if os.geteuid() == 0:
        os.mknod(workspace.root / "zero", 0o600 | stat.S_IFCHR, os.makedev(1, 5))
        assert code_of(workspace.read, "zero", max_bytes=BIG) == "not_a_file"
    entries, _ = workspace.list("", recursive=True, max_entries=9)
    assert {entry.kind for entry in entries} == {"other"}


def test_what_is_missing_or_a_folder_has_its_own_code(workspace):
    (workspace.root / "folder").mkdir()
    assert code_of(workspace.read, "missing", max_bytes=BIG) == "not_found"
    assert code_of(workspace.read, "missing/file", max_bytes=BIG) == "not_found"
    assert code_of(workspace.read, "folder", max_bytes=BIG) == "not_a_file"
    assert code_of(workspace.read, "", max_bytes=BIG) == "not_a_file"
    assert code_of(workspace.write, "folder", b"") == "not_a_file"
    assert code_of(workspace.write, "", b"") == "not_a_file"
    workspace.write("file", b"")
    assert code_of(workspace.write, "file/below", b"") == "not_a_folder"
    assert code_of(workspace.list, "file", recursive=False, max_entries=9) == "not_a_folder"


def test_errors_name_no_path_of_the_machine(workspace):
    with pytest.raises(ExecutorError) as caught:
        workspace.read("missing", max_bytes=BIG)
    assert str(workspace.root) not in caught.value.message


def test_reading_is_bounded(workspace):
    workspace.write("file", b"x" * 1001)
    assert code_of(workspace.read, "file", max_bytes=1000) == "output_too_big"
    assert len(workspace.read("file", max_bytes=1001)) == 1001


def test_writing_makes_folders_and_replaces_at_once(workspace):
    written = workspace.write("a/b/c", b"one")
    assert (written.bytes, written.sha256) == (3, hashlib.sha256(b"one").hexdigest())
    target = workspace.root / "a/b/c"
    target.chmod(0o640)
    before = target.stat().st_ino
    workspace.write("a/b/c", b"two")
    assert target.read_bytes() == b"two"
    assert target.stat().st_ino != before
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert [path.name for path in target.parent.iterdir()] == ["c"]


def test_appending_tells_of_the_whole_file(workspace):
    workspace.write("log", b"one", append=True)
    written = workspace.write("log", b"two", append=True)
    assert (written.bytes, written.sha256) == (6, hashlib.sha256(b"onetwo").hexdigest())


def test_a_hard_link_never_carries_a_write_out(workspace, tmp_path):
    os.link(tmp_path / "secret", workspace.root / "hard")
    assert code_of(workspace.write, "hard", b"x", append=True) == "outside_workspace"
    workspace.write("hard", b"x")
    assert (tmp_path / "secret").read_text() == "key"


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    workspace = Workspace(tmp_path / "w", max_file_bytes=10)
    workspace.write("file", b"old")
    assert code_of(workspace.write, "file", b"x" * 11) == "file_too_big"
    assert code_of(workspace.write, "file", b"x" * 8, append=True) == "file_too_big"

    def full(descriptor: int) -> None:
        raise OSError(28, "no space")

    monkeypatch.setattr(os, "fsync", full)
    assert code_of(workspace.write, "file", b"new") == "disk_full"
    assert code_of(workspace.write, "file", b"new", append=True) == "disk_full"
    assert (workspace.root / "file").read_bytes() == b"old"
    assert [path.name for path in workspace.root.iterdir()] == ["file"]


def test_listing_is_sorted_bounded_and_follows_no_link(workspace, tmp_path):
    for path in ("b/two", "b/one", "a"):
        workspace.write(path, b"xx")
    (workspace.root / "link").symlink_to(tmp_path / "outside")
    (workspace.root / f"{TEMPORARY_PREFIX}left").write_text("of a crash")
    shown, more = workspace.list("", recursive=True, max_entries=99)
    assert [(entry.path, entry.kind, entry.bytes) for entry in shown] == [
        ("a", "file", 2),
        ("b", "folder", 0),
        ("b/one", "file", 2),
        ("b/two", "file", 2),
        ("link", "link", 0),
    ]
    assert not more
    below, _ = workspace.list("b", recursive=False, max_entries=99)
    assert [entry.path for entry in below] == ["b/one", "b/two"]
    assert workspace.list("", recursive=False, max_entries=1) == (shown[:1], True)


def test_a_name_that_is_no_text_is_shown_with_marks(workspace):
    with open(os.path.join(os.fsencode(workspace.root), b"\xff\xfe"), "wb"):
        pass
    entries, _ = workspace.list("", recursive=False, max_entries=9)
    assert entries[0].path == "\ufffd\ufffd"


def test_a_hidden_folder_below_counts_as_outside(tmp_path):
    (tmp_path / "w/data/deep").mkdir(parents=True)
    (tmp_path / "w/data/key.pem").write_text("key")
    (tmp_path / "w/link").symlink_to("data")
    (tmp_path / "w/open").write_text("x")
    workspace = Workspace(tmp_path / "w", hidden=[tmp_path / "w/data", tmp_path / "missing"])
    for path in ("data/key.pem", "link/key.pem", "data/deep/new"):
        assert code_of(workspace.read, path, max_bytes=BIG) == "outside_workspace"
        assert code_of(workspace.write, path, b"x") == "outside_workspace"
    for path in ("data", "link", "data/deep"):
        assert code_of(workspace.list, path, recursive=True, max_entries=9) == "outside_workspace"
    entries, _ = workspace.list("", recursive=True, max_entries=99)
    assert [entry.path for entry in entries] == ["data", "link", "open"]
    assert [path for path, _ in workspace.iterate_files("", max_file_bytes=9)] == ["open"]
    # The usual case: the workspace lies in the agent's own folder, which hides nothing of it.
    inner = Workspace(tmp_path / "w/data/deep", hidden=[tmp_path / "w/data"])
    inner.write("file", b"x")
    assert inner.read("file", max_bytes=9) == b"x"


def test_no_descriptor_stays_open(workspace):
    workspace.write("a/b/c", b"x")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        workspace.read("a/b/c", max_bytes=9)
        workspace.list("", recursive=True, max_entries=1)
        code_of(workspace.read, "a/b/missing", max_bytes=9)
        next(workspace.iterate_files("", max_file_bytes=9))
    assert len(os.listdir("/proc/self/fd")) <= before + 1
