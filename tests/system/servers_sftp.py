"""An SSH server with SFTP, and an agent, as fixtures.

The server lets in the user that runs the tests, by key only.  Its second port is an auditor's:
nothing can be changed there.
"""
import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.parse

import pytest

from servers import Processes, await_answer, free_port, start_one, stop

SSHD_CONFIG = """
Port {port}
Port {reading_port}
ListenAddress 127.0.0.1
HostKey {folder}/host_ed25519
HostKey {folder}/host_ecdsa
PidFile none
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
UseDNS no
MaxStartups 100
Subsystem sftp internal-sftp
LogLevel VERBOSE
Match LocalPort {reading_port}
    ForceCommand internal-sftp -R
"""


def keygen(path, *args, passphrase=""):
    subprocess.run(["ssh-keygen", "-q", "-N", passphrase, "-f", path, *args], check=True)
    return path


def children_of(pid):
    """The processes below one, all generations."""
    below, found = {}, []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                below.setdefault(parent, []).append(int(entry.name))
    todo = [pid]
    while todo:
        found += below.get(todo[0], [])
        todo += below.get(todo.pop(0), [])
    return found


class Sshd:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.processes = Processes(folder)
        self.port, self.reading_port = free_port(), free_port()
        self.user = pwd.getpwuid(os.geteuid()).pw_name
        self.host_key = keygen(self.folder / "host_ed25519", "-t", "ed25519")
        self.other_host_key = keygen(self.folder / "host_ecdsa", "-t", "ecdsa")
        self.key = keygen(self.folder / "id", "-t", "ed25519")
        self.locked_key = keygen(self.folder / "locked", "-t", "ed25519", passphrase="of the test")
        self.stranger = keygen(self.folder / "stranger", "-t", "ed25519")
        (self.folder / "authorized_keys").write_text(
            "".join((self.folder / f"{name}.pub").read_text() for name in ("id", "locked")))
        self.config = self.folder / "sshd_config"
        self.config.write_text(SSHD_CONFIG.format(
            port=self.port, reading_port=self.reading_port, folder=self.folder))

    def start(self):
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        path = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
        self.listener = self.processes.start("sshd", path, "-D", "-e", "-f", self.config)
        return await_answer(self.answers, (self.listener,))

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def stop(self):
        """The listener, and every session that is still there."""
        sessions = [pid for child in self.processes.running for pid in children_of(child.pid)]
        for child in self.processes.running:
            stop(child)
        self.processes.running = []
        for pid in sessions:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def url(self, path, port=None, **params):
        query = urllib.parse.urlencode(params, safe=":/+")
        return f"sftp://{self.user}@127.0.0.1:{port or self.port}{path}" + (f"?{query}" if query else "")

    def fingerprint(self, key=None):
        key = key or self.host_key
        told = subprocess.run(["ssh-keygen", "-lf", f"{key}.pub"], check=True, capture_output=True,
                              text=True)
        return told.stdout.split()[1]

    def known_hosts(self, *keys):
        """Lines for both ports."""
        return "".join(f"[127.0.0.1]:{port} {pathlib.Path(f'{key}.pub').read_text()}"
                       for key in keys or (self.host_key,)
                       for port in (self.port, self.reading_port))

    def introduce(self, tillfs):
        """What a user has who may log in: key and known host in ~/.ssh."""
        ssh = tillfs.home / ".ssh"
        ssh.mkdir(mode=0o700)
        shutil.copy(self.key, ssh / "id_ed25519")
        (ssh / "known_hosts").write_text(self.known_hosts())
        return ssh


@pytest.fixture(scope="session")
def sshd():
    server, folder = start_one(Sshd)
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


class Agent:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.processes = Processes(folder)
        self.socket = self.folder / "agent"
        self.env = {"SSH_AUTH_SOCK": str(self.socket)}

    def start(self):
        child = self.processes.start("agent-out", "ssh-agent", "-D", "-a", self.socket)
        return await_answer(self.socket.exists, (child,))

    def add(self, key, passphrase):
        ask = self.folder / "ask"
        ask.write_text(f"#!/bin/sh\necho '{passphrase}'\n")
        ask.chmod(0o700)
        subprocess.run(["ssh-add", "-q", key], check=True, stdin=subprocess.DEVNULL,
                       env={**os.environ, **self.env, "SSH_ASKPASS": str(ask),
                            "SSH_ASKPASS_REQUIRE": "force"})

    def stop(self):
        self.processes.stop()


@pytest.fixture
def agent():
    server, folder = start_one(Agent)
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)
