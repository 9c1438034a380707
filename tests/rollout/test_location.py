"""The addresses that people paste."""

import pytest

from rollout.location import Location, cluster_url, find_id, job_url, normal_host

AZURE = "https://adb-1234567890123456.7.azuredatabricks.net"
CLUSTER = Location(AZURE, "cluster", "0101-123456-abcd1234")
JOB = Location(AZURE, "job", "987654321")


@pytest.mark.parametrize(
    ("url", "found"),
    [
        (f"{AZURE}/compute/clusters/0101-123456-abcd1234", CLUSTER),
        (f"{AZURE}/compute/clusters/0101-123456-abcd1234?o=1234567890123456", CLUSTER),
        (f"{AZURE}/compute/clusters/0101-123456-abcd1234/configuration?o=1", CLUSTER),
        (f"{AZURE}/?o=1234567890123456#setting/clusters/0101-123456-abcd1234/configuration", CLUSTER),
        (f"{AZURE}/#/setting/clusters/0101-123456-abcd1234/eventLog", CLUSTER),
        (f"  <{AZURE}/compute/clusters/0101-123456-abcd1234|the cluster> ", CLUSTER),
        (f"<{AZURE}/compute/clusters/0101-123456-abcd1234?o=1&amp;x=2>", CLUSTER),
        (f"{AZURE.upper()}:443/compute/clusters/0101-123456-abcd1234", CLUSTER),
        (f"{AZURE}/jobs/987654321", JOB),
        (f"{AZURE}/jobs/987654321?o=1", JOB),
        (f"{AZURE}/jobs/987654321/runs/11?o=1", JOB),
        (f"{AZURE}/jobs/987654321/tasks/load", JOB),
        (f"{AZURE}/#job/987654321", JOB),
        (f"{AZURE}/?o=1#job/987654321/run/5", JOB),
        ("http://127.0.0.1:8801/jobs/7", Location("http://127.0.0.1:8801", "job", "7")),
        (f"{AZURE}/", None),
        (f"{AZURE}/jobs", None),
        (f"{AZURE}/jobs/new", None),
        (f"{AZURE}/jobs/0", None),
        (f"{AZURE}/myjobs/12", None),
        (f"{AZURE}/compute/clusters/new", None),
        (f"{AZURE}/compute/pools/0101-123456-abcd1234", None),
        (f"{AZURE}/sql/warehouses/abc", None),
        ("ftp://x/jobs/1", None),
        ("jobs/987654321", None),
        ("nightly-load", None),
        ("https://[/jobs/1", None),
        ("https:///jobs/1", None),
        ("", None),
    ],
)
def test_find_id(url: str, found: Location | None) -> None:
    assert find_id(url) == found


@pytest.mark.parametrize(
    ("host", "normal"),
    [
        ("adb-1.2.azuredatabricks.net", "https://adb-1.2.azuredatabricks.net"),
        ("https://ADB-1.2.azuredatabricks.net:443/", "https://adb-1.2.azuredatabricks.net"),
        ("http://127.0.0.1:8801/?o=1", "http://127.0.0.1:8801"),
        (" https://x.cloud.databricks.com/login.html ", "https://x.cloud.databricks.com"),
    ],
)
def test_hosts_can_be_compared(host: str, normal: str) -> None:
    assert normal_host(host) == normal


@pytest.mark.parametrize("host", ["", "https://", "ftp://x", "https://x:port"])
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words of urllib vary
        normal_host(host)


def test_what_we_show_we_understand() -> None:
    assert find_id(cluster_url(AZURE, CLUSTER.object_id)) == CLUSTER
    assert find_id(job_url(AZURE, JOB.object_id)) == JOB
