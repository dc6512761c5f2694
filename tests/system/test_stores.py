"""Stores on real servers: the whole way of a backup, and who is let in.

What every store promises is checked by the unit tests of stores, which are run once more here
against the servers; S3 has a file of its own.
"""
import os
import pathlib
import subprocess

import pytest

import harness
import servers
import servers_dav
from servers_dav import nginx, rclone  # noqa: F401 - fixtures
from servers_sftp import agent, sshd  # noqa: F401 - fixtures

CONTRACT = pathlib.Path(harness.BINARY).parent / "tests" / "unit" / "test_store"

TREE = {
    "pos/sales.db": os.urandom(700_000),
    "pos/journal/0001.txt": "one\n" * 1000,
    "pos/journal/0002.txt": b"",
    "pos/b\u00e4ckerei & co/#1 100%.txt": "odd name\n",
}


def check_contract(url, **env):
    """The unit tests that hold for every store, on a server."""
    if not CONTRACT.exists():
        pytest.skip(f"{CONTRACT} is not built")
    done = subprocess.run([CONTRACT], env={**os.environ, **env, "TILLFS_TEST_STORE": url},
                          capture_output=True, text=True, timeout=harness.TIME_LIMIT)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def check_whole_way(tillfs, folder, url):
    """init, backup, mount, restore, check, a second backup; then what is stored is looked at."""
    shop = folder / "shop"
    harness.write_files(shop, TREE)
    repo = harness.Repo(tillfs, folder, url=url)
    repo.backup(shop, "--date", "2026-11-20", "--time", "2026-11-20T22:00:00Z")

    with repo.mounted() as mount:
        first = harness.snapshot_folder(mount, "2026-11-20")
        assert harness.read_tree(first / shop.relative_to("/")) == harness.read_tree(shop)

    harness.write_files(shop, {"pos/journal/0003.txt": "three\n"})
    repo.backup(shop, "--date", "2026-11-21", "--time", "2026-11-21T22:00:00Z")
    assert [s["date"] for s in repo.snapshots()] == ["2026-11-20", "2026-11-21"]
    repo.restore("latest", folder / "back")
    assert harness.read_tree(folder / "back" / shop.relative_to("/")) == harness.read_tree(shop)
    repo.check("--read-data")
    return repo


# ---- SFTP


@pytest.fixture
def stored():
    """Where an SSH server's stores lie: not below the test's folder, which a backup may read."""
    path = harness.pathlib.Path(harness.tempfile.mkdtemp(prefix="tillfs-sftp-"))
    yield path
    subprocess.run(["rm", "-rf", path], check=True)


def test_sftp_keeps_what_every_store_promises(sshd, stored, folder):
    (folder / "known_hosts").write_text(sshd.known_hosts())
    check_contract(sshd.url(f"{stored}/UNIQUE", key=sshd.key, known_hosts=folder / "known_hosts"))


def test_sftp_the_whole_way(sshd, stored, tillfs, folder):
    sshd.introduce(tillfs)
    check_whole_way(tillfs, folder, sshd.url(f"{stored}/new folder/repo".replace(" ", "%20")))
    assert (stored / "new folder" / "repo" / "config").is_file()
    assert list((stored / "new folder" / "repo" / ".tmp").iterdir()) == []


def test_sftp_home_folder(sshd, tillfs, folder):
    """~ is the home on the server: a name that isn't there shows where it was looked for."""
    sshd.introduce(tillfs)
    tillfs("identity", "new", folder / "admin.key", "--no-passphrase")
    done = tillfs("snapshots", "-r", sshd.url("/~/tillfs-of-nobody"), "-i", folder / "admin.key", code=1)
    assert "no tillfs repository" in done.stderr


@pytest.fixture
def sftp_repo(sshd, stored, tillfs, folder):
    sshd.introduce(tillfs)
    return harness.Repo(tillfs, folder, url=sshd.url(f"{stored}/repo"))


def snapshots(repo, url, **how):
    return repo.tillfs("snapshots", "-r", url, "-i", repo.admin, **how)


def test_sftp_an_auditor_can_only_read(sshd, stored, sftp_repo, folder):
    repo, shop = sftp_repo, folder / "shop"
    harness.write_files(shop, TREE)
    repo.backup(shop, "--date", "2026-11-20", "--time", "2026-11-20T22:00:00Z")
    before = harness.read_tree(stored)
    url = sshd.url(f"{stored}/repo", port=sshd.reading_port)

    assert "2026-11-20" in snapshots(repo, url).stdout
    repo.url = url
    with repo.mounted() as mount:
        first = harness.snapshot_folder(mount, "2026-11-20")
        assert harness.read_tree(first / shop.relative_to("/")) == harness.read_tree(shop)
    harness.write_files(shop, {"more": "more"})
    denied = repo.backup(shop, code=1)
    assert "refuses it to" in denied.stderr
    assert harness.read_tree(stored) == before


def test_sftp_an_unknown_host_is_refused_and_shown(sshd, stored, sftp_repo):
    known_hosts = sftp_repo.tillfs.home / ".ssh" / "known_hosts"
    known_hosts.unlink()
    done = snapshots(sftp_repo, sftp_repo.url, code=1)
    assert "is not known" in done.stderr
    assert sshd.fingerprint() in done.stderr
    assert f"ssh-keyscan -p {sshd.port} 127.0.0.1 >> {known_hosts}" in done.stderr

    # What the message tells to do helps, both ways.
    scanned = subprocess.run(["ssh-keyscan", "-p", str(sshd.port), "127.0.0.1"], check=True,
                             capture_output=True, text=True)
    known_hosts.write_text(scanned.stdout)
    snapshots(sftp_repo, sftp_repo.url)
    known_hosts.unlink()
    snapshots(sftp_repo, sshd.url(f"{stored}/repo", hostkey=sshd.fingerprint()))


def test_sftp_another_key_is_refused(sshd, stored, sftp_repo):
    known_hosts = sftp_repo.tillfs.home / ".ssh" / "known_hosts"
    known_hosts.write_text(sshd.known_hosts(sshd.stranger))
    done = snapshots(sftp_repo, sftp_repo.url, code=1)
    assert "not the one known so far" in done.stderr and "ssh-keygen -R" in done.stderr

    known_hosts.write_text(sshd.known_hosts())
    wrong = sshd.url(f"{stored}/repo", hostkey=sshd.fingerprint(sshd.stranger))
    assert "another server" in snapshots(sftp_repo, wrong, code=1).stderr

    public = pathlib.Path(f"{sshd.host_key}.pub").read_text()
    known_hosts.write_text(f"@revoked * {public}" + sshd.known_hosts())
    assert "was revoked" in snapshots(sftp_repo, sftp_repo.url, code=1).stderr


def test_sftp_host_known_by_its_other_key_or_by_a_hash(sshd, stored, sftp_repo):
    """Servers have several keys; known_hosts may have any of them, and names in disguise."""
    known_hosts = sftp_repo.tillfs.home / ".ssh" / "known_hosts"
    known_hosts.write_text(sshd.known_hosts(sshd.other_host_key))
    snapshots(sftp_repo, sftp_repo.url)

    stranger = pathlib.Path(f"{sshd.stranger}.pub").read_text()
    known_hosts.write_text(f"elsewhere.example {stranger}" + sshd.known_hosts())
    subprocess.run(["ssh-keygen", "-H", "-f", known_hosts], check=True, capture_output=True)
    assert "127.0.0.1" not in known_hosts.read_text()
    snapshots(sftp_repo, sftp_repo.url)

    known_hosts.unlink()
    pinned = sshd.url(f"{stored}/repo", hostkey=sshd.fingerprint(sshd.other_host_key))
    snapshots(sftp_repo, pinned)


def test_sftp_the_url_on_a_card_names_the_host(sshd, stored, sftp_repo, folder):
    """A till needs the host's key too; it gets no path of the admin's key file."""
    url = sshd.url(f"{stored}/repo", hostkey=sshd.fingerprint(), key=sshd.key)
    repo = sftp_repo
    till = folder / "till-09.writer"
    repo.tillfs("writer", "new", till)
    card = repo.tillfs("writer", "add", "till-09", "--key", f"{till}.pub", "-r", url, "-i",
                       repo.admin).stdout
    assert sshd.fingerprint() in card and str(sshd.key) not in card


def test_sftp_keys_and_agents(sshd, stored, sftp_repo, agent):
    home_key = sftp_repo.tillfs.home / ".ssh" / "id_ed25519"
    url = sftp_repo.url
    home_key.unlink()
    assert "neither an SSH key" in snapshots(sftp_repo, url, code=1).stderr

    stranger = sshd.url(f"{stored}/repo", key=sshd.stranger)
    assert "authorized_keys" in snapshots(sftp_repo, stranger, code=1).stderr

    # A key with a passphrase is the agent's business.
    locked = sshd.url(f"{stored}/repo", key=sshd.locked_key)
    assert "ssh-add" in snapshots(sftp_repo, locked, code=1).stderr
    agent.add(sshd.locked_key, "of the test")
    snapshots(sftp_repo, locked, env=agent.env)
    snapshots(sftp_repo, url, env=agent.env)

    # The configuration may name the key, too.
    config = sftp_repo.tillfs.home / ".config" / "tillfs" / "tillfs.conf"
    config.write_text(config.read_text() + f"[store]\nssh-key = {sshd.key}\n")
    with sftp_repo.mounted() as mount:    # which is confined, and must still read the key
        assert "by-date" in os.listdir(mount)


@pytest.mark.parametrize("url, told", [
    ("sftp://127.0.0.1/x", "name the user"),
    ("sftp://a:secret@127.0.0.1/x", "no place for a password"),
    ("sftp://a@127.0.0.1/x?what=1", "no parameter"),
    ("sftp://a@127.0.0.1:x/x", "no host and port"),
    ("sftp://a@127.0.0.1/x?hostkey=MD5:12", "begins with SHA256:"),
    ("sftp://a@127.0.0.1/x?key=/nonexistent/key", "/nonexistent/key"),
    ("sftp://a@127.0.0.1/~b/x", "another user"),
])
def test_sftp_urls_that_make_no_sense(tillfs, folder, url, told):
    tillfs("identity", "new", folder / "admin.key", "--no-passphrase")
    ssh = tillfs.home / ".ssh"
    ssh.mkdir()
    (ssh / "id_ed25519").write_text("never read")
    done = tillfs("snapshots", "-r", url, "-i", folder / "admin.key", code=1)
    assert told in done.stderr and "secret" not in done.stderr


# ---- WebDAV


def trusting(tillfs, certificates):
    """Says in the configuration what --cacert says for one command."""
    config = tillfs.home / ".config" / "tillfs" / "tillfs.conf"
    config.write_text(config.read_text() + f"cacert = {certificates.ca}\n")


def test_nginx_keeps_what_every_store_promises(nginx, certificates):
    check_contract(nginx.url("/dav/UNIQUE/a b".replace(" ", "%20"), tls=True),
                   TILLFS_TEST_CACERT=str(certificates.ca), **nginx.env)


def test_rclone_keeps_what_every_store_promises(rclone):
    """But that two clients at the same moment can't both create: it looks first, then moves."""
    check_contract(rclone.url("/UNIQUE"), TILLFS_TEST_SKIP="*exactly_one_of_many*", **rclone.env)


def test_webdav_nginx_the_whole_way(nginx, certificates, tillfs, folder):
    trusting(tillfs, certificates)
    tillfs.env.update(nginx.env)
    url = nginx.url("/dav/b%c3%a4ckerei%20%26%20co/repo", tls=True)
    check_whole_way(tillfs, folder, url)
    stored = nginx.root / "b\u00e4ckerei & co" / "repo"
    assert (stored / "config").is_file()
    assert list((stored / ".tmp").iterdir()) == []


def test_webdav_rclone_the_whole_way_with_a_login_from_netrc(rclone, tillfs, folder):
    netrc = tillfs.home / ".netrc"
    netrc.write_text(f'machine elsewhere.example login x password y\n'
                     f'machine localhost login {servers_dav.USER} password "{servers_dav.PASSWORD}"\n')
    netrc.chmod(0o600)
    check_whole_way(tillfs, folder, rclone.url("/repo"))
    assert list((rclone.root / "repo" / ".tmp").iterdir()) == []


@pytest.fixture
def dav_repo(nginx, certificates, tillfs, folder):
    trusting(tillfs, certificates)
    tillfs.env.update(nginx.env)
    name = folder.name
    yield harness.Repo(tillfs, folder, url=nginx.url(f"/dav/{name}", tls=True))
    subprocess.run(["rm", "-rf", nginx.root / name], check=True)


def test_webdav_only_the_right_authority_is_trusted(nginx, certificates, dav_repo, tillfs, folder):
    config = tillfs.home / ".config" / "tillfs" / "tillfs.conf"
    config.write_text("\n".join(line for line in config.read_text().splitlines()
                                if "cacert" not in line) + "\n")
    assert "not to be trusted" in snapshots(dav_repo, dav_repo.url, code=1).stderr

    other = folder / "other"
    other.mkdir()
    wrong = servers.Certificates(other).ca
    done = tillfs("snapshots", *dav_repo.access, "--cacert", wrong, code=1)
    assert "not to be trusted" in done.stderr
    done = tillfs("snapshots", *dav_repo.access, "--cacert", folder / "nothing", code=1)
    assert "nothing" in done.stderr

    # The certificate names localhost and 127.0.0.1.
    elsewhere = nginx.url(f"/dav/{folder.name}", tls=True, host="127.0.0.2")
    done = tillfs("snapshots", "-r", elsewhere, "-i", dav_repo.admin, "--cacert", certificates.ca, code=1)
    assert "not to be trusted" in done.stderr


def test_webdav_logins(nginx, dav_repo, tillfs):
    wrong = {"TILLFS_WEBDAV_USER": servers_dav.USER, "TILLFS_WEBDAV_PASSWORD": "wrong"}
    done = snapshots(dav_repo, dav_repo.url, env=wrong, code=1)
    assert "credentials" in done.stderr and "wrong" not in done.stderr

    for name in nginx.env:
        del tillfs.env[name]
    assert "credentials" in snapshots(dav_repo, dav_repo.url, code=1).stderr
    config = tillfs.home / ".config" / "tillfs" / "tillfs.conf"
    config.write_text(config.read_text() + f"[store]\nuser = {servers_dav.USER}\n"
                                           f"password = {servers_dav.PASSWORD}\n")
    snapshots(dav_repo, dav_repo.url)

    in_url = dav_repo.url.replace("://", "://till:topsecret@")
    done = snapshots(dav_repo, in_url, code=1)
    assert "no place for a login" in done.stderr and "topsecret" not in done.stderr


def test_webdav_an_auditor_can_only_read(nginx, dav_repo, folder):
    repo, shop = dav_repo, folder / "shop"
    harness.write_files(shop, TREE)
    repo.backup(shop, "--date", "2026-11-20", "--time", "2026-11-20T22:00:00Z")
    before = harness.read_tree(nginx.root / folder.name)
    repo.url = nginx.url(f"/reading/{folder.name}", tls=True)
    repo.access = ("-r", repo.url, "-i", repo.admin)
    with repo.mounted() as mount:
        first = harness.snapshot_folder(mount, "2026-11-20")
        assert harness.read_tree(first / shop.relative_to("/")) == harness.read_tree(shop)
    repo.check("--read-data")
    harness.write_files(shop, {"more": "more"})
    assert "refuses it" in repo.backup(shop, code=1).stderr
    assert harness.read_tree(nginx.root / folder.name) == before


def test_webdav_a_server_without_it_is_told(nginx, dav_repo, folder):
    done = snapshots(dav_repo, nginx.url(f"/plain/{folder.name}", tls=True), code=1)
    assert "nobody speaks WebDAV there" in done.stderr
