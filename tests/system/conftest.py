"""Fixtures: a command line, repositories and a shop's data, each test's in a folder of its own."""
import os
import shutil
import subprocess
import tempfile

import pytest

import harness
from servers import ceph, certificates  # noqa: F401 - fixtures


def pytest_configure(config):
    config.addinivalue_line("markers", "root: needs root")
    config.addinivalue_line("markers", "slow: too slow for the TSan build")
    config.addinivalue_line("markers", "races: threads work together; run on the TSan build too")


@pytest.fixture
def folder():
    """Removed at the end, but never through a mount that was left behind."""
    path = harness.pathlib.Path(tempfile.mkdtemp(prefix="tillfs-test-"))
    yield path
    subprocess.run(["rm", "-rf", "--one-file-system", path], check=True)


@pytest.fixture
def tillfs(folder):
    command = harness.Tillfs(folder / "home")
    yield command
    assert command.sanitizer_reports() == ""


@pytest.fixture
def repo(tillfs, folder):
    return harness.Repo(tillfs, folder)


@pytest.fixture(scope="session")
def pristine_shop():
    path = tempfile.mkdtemp(prefix="tillfs-shop-")
    harness.trade(path, day=0)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def shop(folder, pristine_shop):
    """One day of a shop's data, to be changed at will: pos.db, journal/, tlog/, scans/ …"""
    path = folder / "shop"
    subprocess.run(["cp", "-a", pristine_shop, path], check=True)
    return path


def pytest_collection_modifyitems(items):
    if os.geteuid() != 0:
        for item in items:
            if item.get_closest_marker("root"):
                item.add_marker(pytest.mark.skip(reason="needs root"))
