"""Azure's blob storage, through the real binary and Azurite."""
import concurrent.futures
import json
import re
import urllib.parse

import pytest

import harness
from servers_azure import ACCOUNT, KEY, azurite  # noqa: F401 - a fixture
from test_stores import check_contract, check_whole_way


@pytest.fixture
def container(azurite, tillfs):  # noqa: F811
    tillfs.env.update(azurite.env)
    return azurite.new_container()


def test_azure_keeps_what_every_store_promises(azurite, container):  # noqa: F811
    check_contract(azurite.url(container, "contract-UNIQUE"), **azurite.env)


def test_azure_the_whole_way(tillfs, folder, azurite, container):  # noqa: F811
    check_whole_way(tillfs, folder, azurite.url(container, urllib.parse.quote("a b+c/ü(1)'&=%")))


def test_azure_lists_more_than_a_page(tillfs, folder, azurite, container):  # noqa: F811
    repo = harness.Repo(tillfs, folder, url=azurite.url(container))
    harness.write_files(folder / "shop", {"a": "1"})
    repo.backup(folder / "shop")
    before = json.loads(repo.check("--json").stdout)
    names = re.findall("<Name>(repo/packs/[^<]*)<", azurite.request(
        "GET", container, query={"restype": "container", "comp": "list"}).decode())
    stray = [re.sub("[^/]*$", f"{i:064x}", names[0]) for i in range(5005 if harness.FULL else 300)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: azurite.put(container, key, b"x"), stray))
    after = json.loads(repo.check("--json", code=(0, 4)).stdout)
    assert after["objects"] == before["objects"] + len(stray)


def test_azure_credentials_of_each_kind(tillfs, folder, azurite, container):  # noqa: F811
    repo = harness.Repo(tillfs, folder, url=azurite.url(container))
    read = ("snapshots", *repo.access)
    none = {"AZURE_STORAGE_KEY": ""}

    assert "AZURE_STORAGE_KEY" in tillfs(*read, env=none, code=1).stderr
    other = KEY[:-4] + "AAA="
    assert "refuses" in tillfs(*read, env={"AZURE_STORAGE_KEY": other}, code=1).stderr
    assert "base64" in tillfs(*read, env={"AZURE_STORAGE_KEY": "?"}, code=1).stderr
    tillfs(*read, env={**none, "AZURE_STORAGE_SAS_TOKEN": "?" + azurite.sas(container, "rl")})
    expired = azurite.sas(container, "rl").replace("sig=", "sig=x")
    wrong = tillfs(*read, env={**none, "AZURE_STORAGE_SAS_TOKEN": expired}, code=1)
    assert "refuses" in wrong.stderr and "sig" not in wrong.stderr

    connection = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};" \
                 f"BlobEndpoint={azurite.endpoint}"
    tillfs("snapshots", "-r", f"azure://{ACCOUNT}/{container}/repo", "-i", repo.admin,
           env={**none, "AZURE_STORAGE_CONNECTION_STRING": connection})
    config = folder / "t.conf"
    config.write_text(f"[tillfs]\nstate = {tillfs.state}\n[store]\naccount-key = {KEY}\n")
    tillfs(*read, "--config", config, env=none)
    config.write_text(f"[tillfs]\nstate = {tillfs.state}\n[store]\n"
                      f"sas-token = {azurite.sas(container, 'rl')}\n")
    tillfs(*read, "--config", config, env=none)


def test_azure_says_what_is_wrong_with_a_url(tillfs, folder, azurite, container):  # noqa: F811
    tillfs("identity", "new", folder / "a.key", "--no-passphrase")
    for url, word in (("azure://x/abc", "account"), (f"azure://{ACCOUNT}/", "container"),
                      (f"azure://u:p@{ACCOUNT}/{container}", "credentials"),
                      (f"azure://{ACCOUNT}/{container}?lok=x", "lok"),
                      (azurite.url(container, lock="maybe"), "lock"),
                      (azurite.url("no-such-container"), 'no container "no-such-container"')):
        assert word in tillfs("snapshots", "-r", url, "-i", folder / "a.key", code=1).stderr


def test_azure_what_was_overwritten_is_read_from_a_snapshot(tillfs, folder, azurite, container):  # noqa: F811
    """Azurite keeps no versions, but snapshots of blobs, which are found in the same listing."""
    repo = harness.Repo(tillfs, folder, url=azurite.url(container))
    harness.write_files(folder / "shop", {f"{i}.log": f"receipt {i}\n" * 500 for i in range(20)})
    repo.backup(folder / "shop")
    names = re.findall("<Name>(repo/[^<]*)<", azurite.request(
        "GET", container, query={"restype": "container", "comp": "list"}).decode())
    harmed = [name for name in names if not name.startswith("repo/config")]
    assert any(name.startswith("repo/packs/") for name in harmed) and len(harmed) >= 3
    for name in harmed:
        azurite.request("PUT", f"{container}/{name}", query={"comp": "snapshot"}, code=201)
        for other in (b"nothing", bytes(300_000)):
            azurite.put(container, name, other)
            azurite.request("PUT", f"{container}/{name}", query={"comp": "snapshot"}, code=201)
    done = repo.restore("latest", folder / "out", "-v", "--state", folder / "fresh")
    assert harness.read_tree(folder / "out" / str(folder / "shop")[1:]) == harness.read_tree(folder / "shop")
    assert "older version" in done.stderr
    repo.check("--read-data", code=4)   # it tells of what is stored now


def test_azure_a_lock_that_is_not_kept_is_an_error(tillfs, folder, azurite, container):  # noqa: F811
    """Azurite takes a blob with a policy and forgets that, and refuses a policy alone: 501."""
    tillfs("identity", "new", folder / "a.key", "--no-passphrase")
    done = tillfs("init", azurite.url(container), "-i", folder / "a.key", "--object-lock-days", "1", code=1)
    assert "forgets the lock" in done.stderr and "without --object-lock-days" in done.stderr
    assert b"<Name>" not in azurite.request("GET", container, query={"restype": "container", "comp": "list"})
    found = json.loads(tillfs("store", "test", azurite.url(container), "--json").stdout)
    assert found["lock"]["answer"] == "no" and "knows no locks" in found["lock"]["detail"]


def test_store_test_on_azure(tillfs, azurite, container):  # noqa: F811
    def found(**env):
        done = tillfs("store", "test", azurite.url(container), "--json", "--timeout", "6", env=env,
                      code=(0, 1))
        return {name: item["answer"] for name, item in json.loads(done.stdout).items()
                if isinstance(item, dict) and name != "lock"}   # Azurite: 501, or 500 to a token

    works = {"create": "yes", "read": "yes", "range": "yes", "list": "yes", "exclusive": "yes",
             "versions": "no", "delete": "yes"}
    assert found() == works
    till = {"AZURE_STORAGE_KEY": "", "AZURE_STORAGE_SAS_TOKEN": azurite.sas(container, "rcl")}
    assert found(**till) == {**works, "delete": "denied", "versions": "-"}
    auditor = {"AZURE_STORAGE_KEY": "", "AZURE_STORAGE_SAS_TOKEN": azurite.sas(container, "rl")}
    assert found(**auditor)["create"] == "denied"
