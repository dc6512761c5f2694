"""OpenStack's Swift through its S3 interface: what it lacks is told, and everything works.

It refuses the condition of an exclusive create, and takes object locks without heeding them.
"""
import json

import pytest

import harness
from servers_swift import swift  # noqa: F401 - a fixture
from test_stores import check_contract, check_whole_way

pytestmark = pytest.mark.skipif(not harness.FULL, reason="with TILLFS_FULL only: five more servers")


@pytest.fixture
def bucket(swift, tillfs):  # noqa: F811
    tillfs.env.update(swift.client.env)
    return swift.client.new_bucket()


def test_swift_keeps_what_every_store_promises(swift, bucket):  # noqa: F811
    check_contract(swift.url(bucket, "contract-UNIQUE"), TILLFS_TEST_SKIP="*exactly_one_of_many*",
                   **swift.client.env)


def test_swift_the_whole_way(tillfs, folder, swift, bucket):  # noqa: F811
    check_whole_way(tillfs, folder, swift.url(bucket))


def test_store_test_tells_what_swift_lacks(tillfs, swift, bucket):  # noqa: F811
    found = json.loads(tillfs("store", "test", swift.url(bucket), "--json").stdout)
    answers = {name: item["answer"] for name, item in found.items() if isinstance(item, dict)}
    assert "knows no locks" in found["lock"]["detail"]
    assert answers == {"create": "yes", "read": "yes", "range": "yes", "list": "yes", "delete": "yes",
                       "exclusive": "no", "versions": "no", "lock": "no"}
    assert found["left"] == 0 and swift.client.keys(bucket) == []


def test_a_lock_that_swift_forgets_is_an_error(tillfs, folder, swift, bucket):  # noqa: F811
    admin = folder / "other.key"
    tillfs("identity", "new", admin, "--no-passphrase")
    done = tillfs("init", swift.url(bucket), "-i", admin, "--object-lock-days", "2", code=1)
    assert "knows no locks" in done.stderr and "without --object-lock-days" in done.stderr
    assert swift.client.keys(bucket) == []
    repo = harness.Repo(tillfs, folder, url=swift.url(bucket))
    harness.write_files(folder / "shop", {"a": "1"})
    assert "knows no locks" in repo.backup(folder / "shop", "--object-lock-days", "2", code=1).stderr
    repo.backup(folder / "shop")
    assert len(repo.snapshots()) == 1
    repo.check("--read-data")
