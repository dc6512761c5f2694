"""What the serving process of a mount may still do, asked from inside it."""
import errno
import os
import pathlib
import re
import signal
import subprocess

import pytest

import harness
import inject

DAY = "2025-01-01"
AT_FDCWD = -100


@pytest.fixture
def filled(repo, folder):
    harness.write_files(folder / "src", {"a.txt": "hello\n", "big.bin": os.urandom(300_000)})
    repo.backup("--time", f"{DAY}T23:00:05Z", "src", cwd=folder)
    return repo


def status(pid):
    text = pathlib.Path("/proc", str(pid), "status").read_text()
    return dict(re.findall(r"^(\w+):\s*(.*)$", text, re.M))


def server_of(mount):
    """The process with the threads; small ones stand beside it."""
    return max(harness.serving(mount), key=lambda pid: int(status(pid)["Threads"]))


def has(mount, words):
    return words in (mount / ".tillfs" / "log").read_text()


def test_the_serving_process_is_confined_all_its_threads(filled):
    with filled.mounted() as mount:
        server = server_of(mount)
        for thread in pathlib.Path("/proc", str(server), "task").iterdir():
            s = status(f"{server}/task/{thread.name}")
            assert (s["NoNewPrivs"], s["Seccomp"]) == ("1", "2")
        assert has(mount, "calls are restricted")
        limits = pathlib.Path("/proc", str(server), "limits").read_text()
        assert re.search(r"Max core file size\s+0\s+0", limits)


def test_without_the_sandbox_the_log_says_so(filled):
    with filled.mounted("--no-sandbox") as mount:
        server = server_of(mount)
        assert status(server)["Seccomp"] == "0" and has(mount, "sandbox: off")
    with filled.mounted("-o", "no-sandbox") as mount:
        assert has(mount, "sandbox: off")


@pytest.mark.skipif(not inject.POSSIBLE, reason="needs root on x86-64")
def test_from_inside_nothing_runs_and_nothing_else_is_read_or_written(filled, folder):
    outside = folder / "outside"
    outside.write_text("secret")
    with filled.mounted("--audit", folder / "home" / "log.db") as mount:
        if not has(mount, "files are restricted"):
            pytest.skip("this kernel has no Landlock")
        server = server_of(mount)
        state = filled.tillfs.state
        with inject.Inside(server) as inside:
            assert inside.call("getppid") > 0
            for name, args in (("execve", ("/bin/true", 0, 0)), ("mount", ("x", folder, "tmpfs", 0, 0)),
                               ("umount2", (mount, 0)), ("unshare", (0x10000000,)), ("bpf", (0, 0, 0)),
                               ("process_vm_readv", (1, 0, 0, 0, 0, 0)), ("listen", (0, 1))):
                assert inside.call(name, *args) == -errno.EPERM, name
            assert inside.call("socket", 2, 1, 0) == -errno.EACCES
            assert inside.call("openat", AT_FDCWD, outside, os.O_RDONLY, 0) == -errno.EACCES
            assert inside.call("openat", AT_FDCWD, "/etc/passwd", os.O_RDONLY, 0) == -errno.EACCES
            assert inside.call("openat", AT_FDCWD, filled.admin, os.O_RDONLY, 0) == -errno.EACCES
            assert inside.call("openat", AT_FDCWD, folder / "new", os.O_CREAT | os.O_WRONLY, 0o600) == -errno.EACCES
            assert inside.call("unlink", outside) == -errno.EACCES
            assert inside.call("rename", filled.store / "config", filled.store / "other") < 0
            assert inside.call("unlink", filled.store / "config") == -errno.EACCES
            assert inside.call("kill", 1, 0) in (-errno.EPERM, 0)
            fd = inside.call("openat", AT_FDCWD, filled.store / "config", os.O_RDONLY, 0)
            assert fd >= 0 and inside.call("close", fd) == 0
            fd = inside.call("openat", AT_FDCWD, state / "written", os.O_CREAT | os.O_WRONLY, 0o600)
            assert fd >= 0 and inside.call("close", fd) == 0
        assert (state / "written").exists() and outside.read_text() == "secret"
        assert (mount / "latest/till-03/src/a.txt").read_text() == "hello\n", "it doesn't serve any more"


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_it_unmounts_although_it_may_not(filled, folder, end):
    with harness.mount_point(folder) as mount:
        server = filled.tillfs.start("mount", filled.url, mount, "-i", filled.admin, "-f")
        harness.wait_until(lambda: os.path.ismount(mount))
        held = open(mount / "latest/till-03/src/a.txt", "rb")
        server.send_signal(end)
        out, words = server.communicate(timeout=harness.TIME_LIMIT)
        held.close()
        assert server.returncode == 0 and (out, words) == ("", "")
        assert not os.path.ismount(mount)


def test_the_helper_ends_with_the_server(filled, folder):
    with harness.mount_point(folder) as mount:
        server = filled.tillfs.start("mount", filled.url, mount, "-i", filled.admin, "-f")
        harness.wait_until(lambda: os.path.ismount(mount))
        server.kill()
        server.communicate(timeout=harness.TIME_LIMIT)
        harness.wait_until(lambda: not harness.serving(mount))
        subprocess.run(["fusermount3", "-u", "-z", mount], check=True)


def test_new_snapshots_and_the_state_folder_work_in_it(filled, folder):
    with filled.mounted("--refresh", "1") as mount:
        harness.write_files(folder / "src", {"new.txt": "new\n"})
        filled.backup("--time", "2025-01-02T23:00:05Z", "src", cwd=folder)
        harness.wait_until(lambda: (mount / "by-date" / "2025-01-02").exists())
        assert (mount / "latest/till-03/src/new.txt").read_text() == "new\n"
        assert "error" not in (mount / ".tillfs" / "log").read_text()
