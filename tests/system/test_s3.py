"""S3, through the real binary and Ceph's gateway."""
import concurrent.futures
import json
import random
import re
import subprocess
import urllib.parse

import pytest

import harness
from faultproxy import HttpProxy, WebProxy
from test_stores import check_contract

ODD_PREFIX = "a b+c(d)!ü%25&=~*':@;,$/€ x"


@pytest.fixture
def s3(ceph, tillfs):
    """The bucket owner's client; the command line has its credentials."""
    user = ceph.user("owner")
    tillfs.env.update(user.env)
    return user


@pytest.fixture
def bucket(s3):
    return s3.new_bucket()


@pytest.fixture
def repo(tillfs, folder, ceph, bucket):
    return harness.Repo(tillfs, folder, url=ceph.url(bucket))


def small_shop(folder, n=20):
    shop = folder / "shop"
    harness.write_files(shop, {f"tlog/{i:03}.log": f"receipt {i}\n" * 200 for i in range(n)})
    return shop


# ---- the whole way, there and back


def test_backup_mount_restore_and_check(tillfs, folder, ceph, bucket, shop):
    url = ceph.url(bucket, urllib.parse.quote(ODD_PREFIX))
    repo = harness.Repo(tillfs, folder, url=url)
    repo.backup("--date", "2026-11-20", shop)
    expected = harness.read_tree(shop)
    with repo.mounted() as mount:
        inside = harness.snapshot_folder(mount, "2026-11-20") / str(shop)[1:]
        assert harness.read_tree(inside) == expected
    repo.restore("latest", folder / "out")
    assert harness.read_tree(folder / "out" / str(shop)[1:]) == expected
    assert json.loads(repo.check("--read-data", "--json").stdout)["damaged"] == 0


def test_keys_of_odd_bytes_are_what_they_are(tillfs, folder, ceph, s3, bucket):
    harness.Repo(tillfs, folder, url=ceph.url(bucket, urllib.parse.quote(ODD_PREFIX)))
    keys = s3.keys(bucket)
    assert ODD_PREFIX + "/config" in keys
    assert all(key.startswith(ODD_PREFIX + "/") for key in keys)


def test_repositories_side_by_side_do_not_meet(tillfs, folder, ceph, bucket):
    first = harness.Repo(tillfs, folder / "1", url=ceph.url(bucket, "shop"))
    second = harness.Repo(tillfs, folder / "2", url=ceph.url(bucket, "shop2"))
    first.backup(small_shop(folder))
    assert len(first.snapshots()) == 1
    assert second.snapshots() == []


def test_a_bucket_may_be_all_repository(tillfs, folder, ceph, bucket):
    repo = harness.Repo(tillfs, folder, url=ceph.url(bucket, ""))
    repo.backup(small_shop(folder))
    repo.check("--read-data")


def test_listings_of_more_than_a_page(repo, s3, bucket, folder):
    repo.backup(small_shop(folder))
    [pack] = s3.keys(bucket, "repo/packs/")
    before = json.loads(repo.check("--json").stdout)
    stray = [re.sub("[^/]*$", f"{i:064x}", pack) for i in range(1100)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: s3.put(bucket, key, b"x"), stray))
    after = json.loads(repo.check("--json", code=(0, 4)).stdout)
    assert after["objects"] == before["objects"] + 1100


def test_buckets_named_by_the_host(tillfs, folder, ceph, bucket):
    url = ceph.url(bucket, host=f"localhost:{ceph.port}", style="host")
    repo = harness.Repo(tillfs, folder, url=url)
    repo.backup(small_shop(folder))
    repo.check("--read-data")


def test_s3_keeps_what_every_store_promises(ceph, s3, bucket):
    check_contract(ceph.url(bucket, "contract-UNIQUE"), **s3.env)


# ---- creating


def test_exactly_one_of_many_founds(tillfs, folder, ceph, bucket):
    url = ceph.url(bucket)
    keys = [folder / f"{i}.key" for i in range(6)]
    for key in keys:
        tillfs("identity", "new", key, "--no-passphrase")
    running = [tillfs.start("init", url, "-i", key, "--state", folder / key.stem) for key in keys]
    results = [child.communicate(timeout=harness.TIME_LIMIT) for child in running]
    codes = sorted(child.returncode for child in running)
    assert codes == [0] + [1] * 5, results
    for key in keys:
        done = tillfs("snapshots", "-r", url, "-i", key, "--state", folder / key.stem, code=(0, 1))
        assert (done.returncode == 0) == (running[keys.index(key)].returncode == 0)


def test_init_refuses_what_is_there_also_where_the_storage_would_not(tillfs, folder, ceph, s3):
    url = ceph.url(s3.new_bucket(versioned=True))
    harness.Repo(tillfs, folder / "1", url=url)
    tillfs("identity", "new", folder / "other.key", "--no-passphrase")
    assert "already" in tillfs("init", url, "-i", folder / "other.key", code=1).stderr


# ---- credentials


def test_what_is_wrong_with_credentials_and_buckets_is_said(repo, ceph, bucket):
    tillfs = repo.tillfs
    read = ("snapshots", "-i", repo.admin, "-r")

    wrong = tillfs(*read, repo.url, env={"AWS_SECRET_ACCESS_KEY": "wrong"}, code=1)
    assert "SignatureDoesNotMatch" in wrong.stderr
    unknown = tillfs(*read, repo.url, env={"AWS_ACCESS_KEY_ID": "NOBODY"}, code=1)
    assert "InvalidAccessKeyId" in unknown.stderr
    stranger = tillfs(*read, repo.url, env=ceph.user("stranger").env, code=1)
    assert "refuses" in stranger.stderr
    none = tillfs(*read, repo.url, env={"AWS_ACCESS_KEY_ID": ""}, code=1)
    assert "AWS_ACCESS_KEY_ID" in none.stderr
    missing = tillfs(*read, ceph.url("no-such-bucket"), code=1)
    assert 'no bucket "no-such-bucket"' in missing.stderr
    for url, word in (("s3://b", "bucket"), ("s3://a:b@bucket/x", "credentials"),
                      ("s3://bucket/x?endpont=y", "endpont"), ("s3://bucket?style=x", "style"),
                      ("s3://bucket?endpoint=ftp://x", "https://"), ("s3://bucket?lock=x", "lock")):
        assert word in tillfs(*read, url, code=1).stderr


def test_no_message_shows_a_secret(repo, ceph):
    secret = ceph.user("owner").secret
    for args in (("-v", "-v"), ()):
        for env in ({}, {"AWS_ACCESS_KEY_ID": "NOBODY"}):
            done = repo.tillfs("snapshots", *repo.access, *args, env=env, code=(0, 1))
            assert secret not in done.stdout + done.stderr


def test_credentials_from_profiles_and_the_configuration(repo, ceph, folder):
    tillfs = repo.tillfs
    user = ceph.user("owner")
    for name in user.env:
        del tillfs.env[name]
    aws = tillfs.home / ".aws"
    harness.write_files(aws, {
        "credentials": "[default]\naws_access_key_id = NOBODY\naws_secret_access_key = x\n\n"
                       f"[shop]\naws_access_key_id = {user.access}\n"
                       f"aws_secret_access_key = {user.secret}\n",
        "config": "[default]\nregion = eu-central-1\ns3 =\n  max_concurrent_requests = 20\n"
                  f"[profile hq]\naws_access_key_id={user.access}\n"
                  f"aws_secret_access_key={user.secret}\n"})
    tillfs("snapshots", *repo.access, code=1)
    tillfs("snapshots", *repo.access, "--profile", "shop")
    tillfs("snapshots", *repo.access, "--profile", "hq")
    tillfs("snapshots", *repo.access, env={"AWS_PROFILE": "shop"})
    tillfs("snapshots", "-i", repo.admin, "-r", repo.url + "&profile=shop")
    assert '"till"' in tillfs("snapshots", *repo.access, "--profile", "till", code=1).stderr

    elsewhere = folder / "elsewhere"
    (aws / "credentials").rename(elsewhere)
    tillfs("snapshots", *repo.access, env={"AWS_SHARED_CREDENTIALS_FILE": str(elsewhere),
                                           "AWS_PROFILE": "shop"})
    config = folder / "t.conf"
    config.write_text(f"[tillfs]\nrepository = {repo.url}\nidentity = {repo.admin}\n"
                      f"state = {tillfs.state}\n[store]\naccess-key = {user.access}\n"
                      f"secret-key = {user.secret}\n")
    tillfs("snapshots", "--config", config)


def test_a_pack_that_may_not_be_stored_is_refused_at_once(repo, ceph, s3, bucket, folder):
    policy = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam:::user/reader"]},
         "Action": ["s3:GetObject", "s3:ListBucket"],
         "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}]}
    s3.request("PUT", bucket, query={"policy": ""}, body=json.dumps(policy).encode(),
               code=(200, 204))
    harness.write_files(folder / "shop", {"big": random.Random(1).randbytes(20_000_000)})
    done = repo.backup(folder / "shop", env=ceph.user("reader").env, code=1)
    assert "AccessDenied" in done.stderr and "attempts" not in done.stderr
    assert repo.snapshots() == []


@pytest.mark.root
def test_a_mount_takes_up_new_credentials(repo, ceph, folder):
    shop = small_shop(folder)
    repo.backup("--date", "2026-11-20", shop)
    tillfs = repo.tillfs
    user = ceph.user("owner")
    ceph.run("radosgw-admin", "-c", ceph.conf, "-n", "client.rgw.a", "key", "create",
             "--uid=owner", "--key-type=s3", "--access-key=TEMPORARY", "--secret-key=one")
    for name in user.env:
        del tillfs.env[name]
    credentials = tillfs.home / ".aws" / "credentials"
    text = "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n"
    harness.write_files(tillfs.home, {".aws/credentials": text.format("TEMPORARY", "one")})
    with repo.mounted("--refresh", "0") as mount:
        inside = harness.snapshot_folder(mount, "2026-11-20")
        ceph.run("radosgw-admin", "-c", ceph.conf, "-n", "client.rgw.a", "key", "rm",
                 "--uid=owner", "--key-type=s3", "--access-key=TEMPORARY")
        credentials.write_text(text.format(user.access, user.secret))
        assert harness.read_tree(inside / str(shop)[1:]) == harness.read_tree(shop)


# ---- TLS


def test_the_certificate_is_checked(tillfs, folder, ceph, bucket, certificates):
    ceph.user("owner")
    url = ceph.url(bucket, host=f"127.0.0.1:{ceph.tls_port}").replace("http://", "https://")
    tillfs("identity", "new", folder / "a.key", "--no-passphrase")
    refused = tillfs("init", url, "-i", folder / "a.key", code=1)
    assert "certificate is not to be trusted" in refused.stderr
    missing = tillfs("init", url, "-i", folder / "a.key", "--cacert", folder / "none.pem", code=1)
    assert "none.pem" in missing.stderr
    tillfs("init", url, "-i", folder / "a.key", "--cacert", certificates.ca)
    other = url.replace("127.0.0.1", "not.ours.localhost")
    wrong_name = tillfs("snapshots", "-r", other, "-i", folder / "a.key", "--cacert",
                        certificates.ca, code=1)
    assert "certificate is not to be trusted" in wrong_name.stderr


@pytest.mark.root
def test_a_proxy_of_the_environment(tillfs, folder, ceph, bucket, certificates):
    """Also from a mount's sandbox; TLS goes through to the server, whose name is checked."""
    shop, proxy = small_shop(folder), WebProxy()
    config = tillfs.home / ".config" / "tillfs" / "tillfs.conf"
    config.write_text(config.read_text() + f"cacert = {certificates.ca}\n")
    url = ceph.url(bucket, host=f"127.0.0.1:{ceph.tls_port}").replace("http://", "https://")
    tillfs.env["https_proxy"] = f"http://127.0.0.1:{proxy.port}"
    try:
        repo = harness.Repo(tillfs, folder, url=url)
        repo.backup("--date", "2026-11-20", shop)
        with repo.mounted("--refresh", "0") as mount:
            before = len(proxy.asked)
            inside = harness.snapshot_folder(mount, "2026-11-20") / str(shop)[1:]
            proxy.cut()
            assert harness.read_tree(inside) == harness.read_tree(shop)
            assert len(proxy.asked) > before
        assert set(proxy.asked) == {f"127.0.0.1:{ceph.tls_port}"}
        asked = len(proxy.asked)
        tillfs("snapshots", *repo.access, env={"no_proxy": "127.0.0.1"})
        assert len(proxy.asked) == asked
    finally:
        proxy.close()
    refused = tillfs("snapshots", *repo.access, "--timeout", "3", code=1)
    assert f"127.0.0.1 port {proxy.port}" in refused.stderr


# ---- locks and older versions


def test_object_lock_is_set_on_all_that_is_written(tillfs, folder, ceph, s3):
    bucket = s3.new_bucket(locked=True)
    config = tillfs.home / ".config" / "tillfs" / "tillfs.conf"
    config.write_text(config.read_text() + "object-lock-days = 1\n")
    repo = harness.Repo(tillfs, folder, url=ceph.url(bucket))
    repo.backup(small_shop(folder))
    keys = s3.keys(bucket)
    assert len(keys) >= 4
    for key in keys:
        _, headers = s3.request("HEAD", bucket, key)
        lower = {name.lower(): value for name, value in headers.items()}
        assert lower["x-amz-object-lock-mode"] == "GOVERNANCE", key
        version = lower["x-amz-version-id"]
        s3.request("DELETE", bucket, key, query={"versionId": version}, code=403)
    repo.check("--read-data")


def test_without_object_lock_asking_for_it_is_an_error(tillfs, folder, ceph, bucket):
    tillfs("identity", "new", folder / "a.key", "--no-passphrase")
    done = tillfs("init", ceph.url(bucket), "-i", folder / "a.key", "--object-lock-days", "1", code=1)
    assert "lock" in done.stderr.lower()


def test_what_was_overwritten_is_read_as_its_older_version(tillfs, folder, ceph, s3):
    bucket = s3.new_bucket(versioned=True)
    repo = harness.Repo(tillfs, folder, url=ceph.url(bucket))
    shop = small_shop(folder)
    (shop / "big").write_bytes(random.Random(1).randbytes(1_500_000))
    repo.backup(shop)
    expected = harness.read_tree(shop)
    packs = {key: s3.get(bucket, key) for key in s3.keys(bucket, "repo/packs/")}
    # A stolen till puts other bytes over what it may create: short, of the same length, and with
    # a header that is still right.
    for key in (*s3.keys(bucket, "repo/snapshots/"), *s3.keys(bucket, "repo/ledger/")):
        s3.put(bucket, key, b"nothing")
    for number, damage in enumerate((lambda pack: b"nothing", lambda pack: bytes(len(pack)),
                                     lambda pack: pack[:200_000] + bytes(len(pack) - 200_000),
                                     lambda pack: pack[:-200_000])):
        for key, pack in packs.items():
            s3.put(bucket, key, damage(pack))
        state = folder / f"fresh{number}"
        repo.restore("latest", folder / f"out{number}", "--state", state)
        assert harness.read_tree(folder / f"out{number}" / str(shop)[1:]) == expected
    assert "older version" in repo.restore("latest", folder / "out", "-v").stderr
    repo.check("--read-data", code=4)   # it tells of what is stored now


def test_an_older_version_behind_a_thousand_others(tillfs, folder, ceph, s3):
    """Found within a few requests, and also when the server is busy for a moment."""
    bucket = s3.new_bucket(versioned=True)
    repo = harness.Repo(tillfs, folder, url=ceph.url(bucket))
    shop = small_shop(folder)
    repo.backup(shop)
    [pack] = s3.keys(bucket, "repo/packs/")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: s3.put(bucket, pack, b"other %d" % i), range(1050)))
    # Keys that begin with the pack's own are no versions of it.
    for i in range(3):
        s3.put(bucket, f"{pack}{i}", b"stray")
    proxy = HttpProxy(ceph.port)
    asked = []

    def older(request):
        path = urllib.parse.urlsplit(request.words[1])
        query = dict(urllib.parse.parse_qsl(path.query, keep_blank_values=True))
        if request.words[0] == "GET" and ("versions" in query or "versionId" in query):
            asked.append(query)
            return len(asked) <= 2
        return False

    try:
        busy = proxy.fault("status", code=503, match=older)
        reading = ("-r", ceph.url(bucket, host=f"127.0.0.1:{proxy.port}"), "-i", repo.admin)
        tillfs("restore", *reading, "latest", "--to", folder / "out", "--timeout", "60")
        assert busy.met == 2
    finally:
        proxy.close()
    assert harness.read_tree(folder / "out" / str(shop)[1:]) == harness.read_tree(shop)
    assert sum("key-marker" in query for query in asked) >= 1 and len(asked) < 40


# ---- store test


def store_test(tillfs, url, *args, code=0, **how):
    return json.loads(tillfs("store", "test", url, "--json", *args, code=code, **how).stdout)


def answers(found):
    return {name: item["answer"] for name, item in found.items() if isinstance(item, dict)}


WORKS = {"create": "yes", "read": "yes", "range": "yes", "list": "yes", "delete": "yes"}


def test_store_test_tells_what_the_storage_can_do(tillfs, ceph, s3):
    plain, versioned = s3.new_bucket(), s3.new_bucket(versioned=True)
    locked = s3.new_bucket(locked=True)
    expected = {plain: {"exclusive": "yes", "versions": "no", "lock": "no"},
                versioned: {"exclusive": "no", "versions": "yes", "lock": "no"},
                locked: {"exclusive": "no", "versions": "yes", "lock": "yes"}}
    for bucket, own in expected.items():
        found = store_test(tillfs, ceph.url(bucket))
        assert answers(found) == {**WORKS, **own}, found
        assert found["left"] == 0
        left = s3.request("GET", bucket, query={"versions": ""})[0]
        assert b"<Version>" not in left and b"<DeleteMarker>" not in left
    table = tillfs("store", "test", ceph.url(plain)).stdout
    assert re.search(r"^create an object +yes +yes +no +yes +yes$", table, re.M)


def test_store_test_tells_what_a_credential_may(tillfs, ceph, s3, bucket):
    till, auditor = ceph.user("till"), ceph.user("auditor")

    def allow(user, *actions, below=""):
        return {"Effect": "Allow", "Principal": {"AWS": [f"arn:aws:iam:::user/{user}"]},
                "Action": [f"s3:{action}" for action in actions],
                "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/repo/{below}*"]}

    policy = {"Version": "2012-10-17", "Statement": [
        allow("till", "GetObject", "ListBucket"), allow("till", "PutObject", below="packs/w/"),
        allow("auditor", "GetObject", "ListBucket")]}
    s3.request("PUT", bucket, query={"policy": ""}, body=json.dumps(policy).encode(),
               code=(200, 204))
    s3.put(bucket, "repo/config", b"x")

    found = answers(store_test(tillfs, ceph.url(bucket), env=auditor.env))
    assert (found["create"], found["read"], found["list"]) == ("denied", "yes", "yes")
    found = answers(store_test(tillfs, ceph.url(bucket), env=till.env))
    assert found["create"] == "denied"
    found = store_test(tillfs, ceph.url(bucket), "--under", "packs/w", env=till.env)
    assert {**answers(found), "lock": ""} == {**WORKS, "delete": "denied", "exclusive": "yes",
                                              "versions": "-", "lock": ""}
    assert found["left"] == 5
    found = answers(store_test(tillfs, ceph.url(bucket), env=ceph.user("stranger").env, code=1))
    assert set(found.values()) == {"denied", "-"}
