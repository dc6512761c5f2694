"""The policies of docs/storage.md, word for word, at Ceph's gateway: what each role needs works,
and nothing else does.
"""
import json
import re
import urllib.parse

import pytest

import harness
from people import Person

DATE = "2026-11-20"
ROLES = ("till", "auditor", "admin", "pruner")
STRANGER = "0" * 64


def printed():
    """What the page shows as JSON below its heading, role by role."""
    text = (harness.TOP / "docs" / "storage.md").read_text()
    section = text.split("### Policies")[1].split("\n## ")[0]
    found = re.findall(r"\*\*(\w+)\*\*[^`]*(?:`[^`]*`[^`]*)*?```json\n(.*?)```", section, re.S)
    assert [name for name, _ in found] == list(ROLES)
    return dict(found)


class Bucket:
    """A versioned bucket, with users who may do what the page says."""

    def __init__(self, ceph):
        self.ceph, self.owner = ceph, ceph.user("landlord")
        ceph.run("radosgw-admin", "-c", ceph.conf, "-n", "client.rgw.a", "caps", "add",
                 "--uid=landlord", "--caps=user-policy=*")
        self.name = self.owner.new_bucket(versioned=True)
        self.policies = printed()

    def user(self, role, **names):
        """A user of the gateway with the role's policy; @names stand for the page's words."""
        text = self.policies[role].replace("arn:aws:s3:::shop", f"arn:aws:s3:::{self.name}")
        for word, value in names.items():
            assert word in text
            text = text.replace(word, value)
        policy = json.loads(text)
        # As the page says: this gateway doesn't know the key.
        policy["Statement"] = [s for s in policy["Statement"]
                               if "s3:if-none-match" not in s.get("Condition", {}).get("Null", {})]
        user = self.ceph.user("policy" + role)
        self.owner.request("POST", "", body=urllib.parse.urlencode({
            "Action": "PutUserPolicy", "UserName": "policy" + role, "PolicyName": role,
            "PolicyDocument": json.dumps(policy)}).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded"})
        return user

    @property
    def url(self):
        return self.ceph.url(self.name, "pos")

    def keys(self, below):
        return self.owner.keys(self.name, f"pos/{below}")

    def versions(self, key, what="Version"):
        listed = self.owner.request("GET", self.name, query={"versions": "", "prefix": f"pos/{key}"})[0].decode()
        return [re.search("<VersionId>([^<]+)<", one).group(1)
                for one in re.findall(f"<{what}>.*?</{what}>", listed, re.S)]


class Shop:
    """A repository that was made, written and granted under the policies alone."""

    def __init__(self, tillfs, folder, bucket):
        self.bucket, self.tillfs = bucket, tillfs
        self.admin = bucket.user("admin")
        tillfs.env.update(self.admin.env)
        self.repo = harness.Repo(tillfs, folder, url=bucket.url)
        [writer] = json.loads(tillfs("writer", "list", "--json", *self.repo.access).stdout)
        self.writer = writer["id"]
        self.till = bucket.user("till", WRITER=self.writer)
        self.data = folder / "shop"
        harness.write_files(self.data, {"journal/1.txt": "receipt\n" * 100, "pos.db": b"x" * 50_000})
        self.repo.backup(self.data, "--date", DATE, "--time", f"{DATE}T22:00:00Z", env=self.till.env)

        self.person = Person(folder, self.repo, "auditor")
        public = harness.pathlib.Path(self.person.public).read_text()
        [self.fingerprint] = re.findall(r"^fingerprint = (\w{64})$", public, re.M)
        self.auditor = bucket.user("auditor", FINGERPRINT=self.fingerprint)
        self.person.tillfs.env.update(self.auditor.env)


@pytest.fixture
def bucket(ceph):
    return Bucket(ceph)


@pytest.fixture
def shop(tillfs, folder, bucket):
    return Shop(tillfs, folder, bucket)


def told(user, method, bucket, key="", **how):
    """The gateway's answer: "yes", or the code of its refusal."""
    path = f"pos/{key}" if key else ""
    content, _ = user.request(method, bucket.name, path, code=range(600), **how)
    code = re.search(rb"<Code>(\w+)</Code>", content)
    return code.group(1).decode() if code else "yes"


DENIED = "AccessDenied"
LIST = {"list-type": "2"}
NEW = {"If-None-Match": "*"}


def test_a_till_adds_to_what_is_its_own(shop, bucket):
    till, mine = shop.till, f"packs/{shop.writer}"
    [pack] = [key[len("pos/"):] for key in bucket.keys(mine)]
    content = till.get(bucket.name, f"pos/{pack}")
    # A second backup lists, reads its own and the ledger, and creates.
    harness.write_files(shop.data, {"journal/2.txt": "more\n" * 100})
    shop.repo.backup(shop.data, env=till.env)
    assert len(shop.repo.snapshots()) == 2

    assert told(till, "GET", bucket, pack) == "yes"
    for key in (f"packs/{STRANGER[:32]}/{STRANGER}", f"snapshots/{STRANGER[:32]}/{STRANGER}", "config",
                f"ledger/{STRANGER}", f"grants/{STRANGER}", f"audit/{STRANGER}/x"):
        assert told(till, "PUT", bucket, key, body=b"x", headers=NEW) == DENIED, key
    old = bucket.versions(pack)[0]
    for key in (pack, bucket.keys("ledger/")[0][len("pos/"):], "config"):
        assert told(till, "DELETE", bucket, key) == DENIED
    assert told(till, "DELETE", bucket, pack, query={"versionId": old}) == DENIED
    assert told(till, "GET", bucket, query={"versions": "", "prefix": "pos/"}) == DENIED
    assert told(till, "GET", bucket, query={**LIST, "prefix": "other/"}) == DENIED
    assert told(till, "PUT", bucket, query={"versioning": ""}, body=b"<VersioningConfiguration>"
                b"<Status>Suspended</Status></VersioningConfiguration>") == DENIED

    # This gateway lets it put something over its own pack; then the older version is read.
    assert told(till, "PUT", bucket, pack, body=b"nothing") == "yes"
    assert till.get(bucket.name, f"pos/{pack}") != content
    shop.repo.restore(f"{DATE}", shop.repo.folder / "back")
    assert harness.read_tree(shop.repo.folder / "back" / str(shop.data)[1:])["journal/1.txt"] == b"receipt\n" * 100


@pytest.mark.root
def test_an_auditor_reads_and_publishes(shop, bucket, folder):
    person, auditor = shop.person, shop.auditor
    shop.tillfs("grant", "--to", person.public, "--case", "1", "--out", person.card, *shop.repo.access)
    person.trust()
    (folder / "log").mkdir()
    with harness.mount_point(folder) as mount:
        person.tillfs("mount", bucket.url, mount, "-i", person.key, "--audit", folder / "log" / "access.db")
        inside = harness.snapshot_folder(mount, DATE) / str(shop.data)[1:]
        assert harness.read_tree(inside) == harness.read_tree(shop.data)
    person("check", "--read-data")
    person("audit", "publish", folder / "log" / "access.db")
    assert bucket.keys(f"audit/{shop.fingerprint}/")

    keys = [key[len("pos/"):] for key in bucket.keys("")]
    assert len(keys) >= 5
    for key in keys:
        assert told(auditor, "GET", bucket, key) == "yes"
        assert told(auditor, "DELETE", bucket, key) == DENIED
    for key in (f"packs/{shop.writer}/{STRANGER}", "config", f"ledger/{STRANGER}", f"audit/{STRANGER}/x"):
        assert told(auditor, "PUT", bucket, key, body=b"x") == DENIED
    assert told(auditor, "GET", bucket, query={**LIST, "prefix": ""}) == DENIED
    refused = shop.repo.backup(shop.data, env=auditor.env, code=1)
    assert DENIED in refused.stderr


def test_an_admin_decides_and_deletes_nothing(shop, bucket):
    admin = shop.admin
    shop.repo.add_writer("till-04")
    assert told(admin, "PUT", bucket, f"packs/{shop.writer}/{STRANGER}", body=b"x") == DENIED
    for key in bucket.keys(""):
        assert told(admin, "DELETE", bucket, key[len("pos/"):]) == DENIED


def test_a_pruner_hides_and_does_not_destroy(shop, bucket):
    pruner = bucket.user("pruner")
    [pack] = [key[len("pos/"):] for key in bucket.keys(f"packs/{shop.writer}/")]
    version = bucket.versions(pack)[0]
    assert told(pruner, "DELETE", bucket, pack, query={"versionId": version}) == DENIED
    assert told(pruner, "DELETE", bucket, pack) == "yes"
    assert bucket.keys(f"packs/{shop.writer}/") == []
    assert told(pruner, "GET", bucket, pack, query={"versionId": version}) == "yes"
    for key in ("config", bucket.keys("ledger/")[0][len("pos/"):]):
        assert told(pruner, "DELETE", bucket, key) == DENIED
    assert told(pruner, "PUT", bucket, pack, body=b"x") == DENIED
    # Whoever owns the bucket brings it back by removing what hides it.
    [marker] = bucket.versions(pack, "DeleteMarker")
    bucket.owner.request("DELETE", bucket.name, f"pos/{pack}", query={"versionId": marker}, code=204)
    shop.repo.check("--read-data")
