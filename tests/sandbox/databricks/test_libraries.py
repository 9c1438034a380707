"""Libraries of clusters: installed on the calendar at each start, with what fails on which runtime."""

from collections.abc import Iterator
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, InvalidParameterValue, PermissionDenied
from databricks.sdk.service import compute

from sandbox.databricks import library_life
from sandbox.databricks.databricks import Databricks
from sandbox.databricks.server import running
from sandbox.fleets import short_form
from tests.sandbox.databricks.governed import FLEET, NEW, OLD, ById, ask, send

Status = compute.LibraryInstallStatus
PYPI: dict[str, Any] = {"pypi": {"package": "simplejson==3.8.0"}}
OLD_JAR = {"maven": {"coordinates": "com.example:b_2.12:1.0"}}


@pytest.fixture
def databricks() -> Iterator[Databricks]:
    with running(FLEET) as found:
        yield found


def install(w: WorkspaceClient, cluster_id: str, *libraries: Any) -> None:
    send(w, "/api/2.0/libraries/install", cluster_id=cluster_id, libraries=list(libraries))


def on(w: WorkspaceClient, cluster_id: str) -> list[Any]:
    """The libraries of one cluster that are its own."""
    found = ask(w, "/api/2.0/libraries/cluster-status", cluster_id=cluster_id)["library_statuses"]
    return [line for line in found if not line["is_library_for_all_clusters"]]


def statuses(w: WorkspaceClient, cluster_id: str) -> list[str]:
    return [line["status"] for line in on(w, cluster_id)]


def move(w: WorkspaceClient, cluster_id: str, runtime: str) -> None:
    change = {"cluster_id": cluster_id, "update_mask": "spark_version", "cluster": {"spark_version": runtime}}
    send(w, "/api/2.1/clusters/update", **change)


@pytest.mark.conforms("library-install-is-asynchronous")
def test_an_installation_goes_through_its_states_on_the_calendar(
    w: WorkspaceClient, databricks: Databricks, cluster: ById
) -> None:
    install(w, cluster("free"), PYPI)
    seen = []
    for _ in range(130):
        (status,) = statuses(w, cluster("free"))
        if not seen or seen[-1] != status:
            seen.append(status)
        databricks.step(1)
    assert seen == ["PENDING", "RESOLVING", "INSTALLING", "INSTALLED"]
    install(w, cluster("free"), PYPI)
    assert statuses(w, cluster("free")) == ["INSTALLED"]


@pytest.mark.conforms("library-statuses-are-listed")
def test_statuses_can_be_read_typed_of_one_cluster_and_of_all(w: WorkspaceClient, cluster: ById) -> None:
    found = {s.cluster_id: s.library_statuses or [] for s in w.libraries.all_cluster_statuses()}
    lines = list(w.libraries.cluster_status(cluster("with-libraries")))
    assert [line.status for line in lines] == [Status.INSTALLED, Status.INSTALLED, Status.SKIPPED]
    assert found[cluster("with-libraries")] == lines
    with pytest.raises(InvalidParameterValue, match="does not exist"):
        list(w.libraries.cluster_status("0000-000000-nothere1"))


@pytest.mark.conforms("library-skipped-on-all-clusters")
def test_a_library_for_all_clusters_is_skipped_and_not_installed(w: WorkspaceClient, cluster: ById) -> None:
    (line,) = w.libraries.cluster_status(cluster("free"))
    assert (line.status, line.is_library_for_all_clusters) == (Status.SKIPPED, True)


@pytest.mark.conforms("library-uninstall-at-restart")
def test_a_library_is_uninstalled_at_the_next_restart_and_listed_last_until_then(
    w: WorkspaceClient, databricks: Databricks, cluster: ById
) -> None:
    target = cluster("with-libraries")
    first = compute.Library(pypi=compute.PythonPyPiLibrary(package="a==1"))
    unknown = compute.Library(jar="/Volumes/none.jar")
    w.libraries.uninstall(target, [first, unknown])
    databricks.step(3600)
    assert statuses(w, target) == ["INSTALLED", "UNINSTALL_ON_RESTART"]
    assert on(w, target)[1]["library"] == {"pypi": {"package": "a==1"}}
    w.clusters.restart(target)
    assert statuses(w, target) == ["PENDING"]
    databricks.step(900)
    assert statuses(w, target) == ["INSTALLED"]


def test_a_library_that_was_marked_for_removal_can_be_wanted_again(w: WorkspaceClient, cluster: ById) -> None:
    target = cluster("with-libraries")
    send(w, "/api/2.0/libraries/uninstall", cluster_id=target, libraries=[OLD_JAR])
    install(w, target, OLD_JAR)
    assert "UNINSTALL_ON_RESTART" not in statuses(w, target)


@pytest.mark.conforms("library-statuses-of-a-terminated-cluster-are-old")
def test_the_statuses_of_a_terminated_cluster_say_nothing_about_its_next_runtime(
    w: WorkspaceClient, databricks: Databricks, cluster: ById
) -> None:
    target = cluster("with-libraries")
    w.clusters.delete(target)
    databricks.step(600)
    move(w, target, NEW)
    assert statuses(w, target) == ["INSTALLED", "INSTALLED"]
    w.clusters.start(target)
    assert statuses(w, target) == ["PENDING", "PENDING"]
    databricks.step(900)
    assert statuses(w, target) == ["INSTALLED", "FAILED"]
    (message,) = on(w, target)[1]["messages"]
    assert "Error Code: DRIVER_LIBRARY_INSTALLATION_FAILURE" in message
    assert target in message


def test_a_cluster_that_ends_during_an_installation_leaves_it_unfinished(
    w: WorkspaceClient, databricks: Databricks, cluster: ById
) -> None:
    install(w, cluster("free"), PYPI)
    databricks.step(12)
    w.clusters.delete(cluster("free"))
    left = statuses(w, cluster("free"))
    databricks.step(3600)
    assert statuses(w, cluster("free")) == left == ["RESOLVING"]


def test_a_library_of_a_terminated_cluster_waits_for_its_start(
    w: WorkspaceClient, databricks: Databricks, cluster: ById
) -> None:
    install(w, cluster("stopped"), PYPI)
    databricks.step(3600)
    assert statuses(w, cluster("stopped")) == ["PENDING"]
    w.clusters.start(cluster("stopped"))
    databricks.step(900)
    assert statuses(w, cluster("stopped")) == ["INSTALLED"]


FAILS = [
    (OLD_JAR, NEW, "built for Scala 2.12 and this cluster runs Scala 2.13"),
    (
        {"maven": {"coordinates": "com.example:b_2.13:1.0"}},
        OLD,
        "built for Scala 2.13 and this cluster runs Scala 2.12",
    ),
    ({"jar": "/Volumes/x/app_2.12-1.0.jar"}, NEW, "built for Scala 2.12"),
    ({"jar": "dbfs:/libs/app.jar"}, "15.4.x-scala2.12", "DBFS library installations are not supported on DBR 15 or"),
    ({"whl": "dbfs:/libs/app-1-py3-none-any.whl"}, NEW, "DBFS library installations are not supported"),
    ({"egg": "/Volumes/x/app.egg"}, "14.3.x-scala2.12", "egg files is not supported in Databricks Runtime 14.0"),
    ({"requirements": "/Workspace/x/requirements.txt"}, OLD, "only supported on Databricks Runtime 15.0"),
    ({"whl": "/Volumes/x/app-1.0-cp310-cp310-linux_x86_64.whl"}, NEW, "is not a supported wheel on this platform"),
]


@pytest.mark.conforms("library-failures-by-runtime")
@pytest.mark.parametrize(("library", "runtime", "message"), FAILS)
def test_what_does_not_fit_the_runtime_fails_with_a_reason(
    w: WorkspaceClient, databricks: Databricks, cluster: ById, library: Any, runtime: str, message: str
) -> None:
    move(w, cluster("free"), runtime)
    databricks.step(900)
    install(w, cluster("free"), library)
    databricks.step(300)
    (line,) = on(w, cluster("free"))
    assert line["status"] == "FAILED"
    assert message in line["messages"][0]


@pytest.mark.conforms("library-failures-by-runtime")
@pytest.mark.parametrize(
    ("library", "runtime"),
    [
        (OLD_JAR, OLD),
        (OLD_JAR, "16.4.x-scala2.12"),
        ({"maven": {"coordinates": "com.example:b_2.13:1.0"}}, NEW),
        ({"maven": {"coordinates": "org.jsoup:jsoup:1.7.2"}}, NEW),
        ({"jar": "dbfs:/libs/app.jar"}, "14.3.x-scala2.12"),
        ({"egg": "/Volumes/x/app.egg"}, OLD),
        ({"requirements": "/Workspace/x/requirements.txt"}, "15.4.x-scala2.12"),
        ({"whl": "/Volumes/x/app-1.0-cp310-cp310-linux_x86_64.whl"}, OLD),
        ({"whl": "/Volumes/x/app-1.0-cp310-abi3-linux_x86_64.whl"}, NEW),
        ({"whl": "/Volumes/x/app-1.0-py3-none-any.whl"}, NEW),
    ],
)
def test_what_fits_the_runtime_is_installed(library: Any, runtime: str) -> None:
    assert library_life.failure(library, "c", runtime) == ""


@pytest.mark.conforms("library-dbfs-switch-of-fifteen")
def test_libraries_from_dbfs_can_be_allowed_on_fifteen_and_no_longer_on_sixteen(
    w: WorkspaceClient, databricks: Databricks, cluster: ById
) -> None:
    found = []
    for runtime in ("15.4.x-scala2.12", "16.4.x-scala2.12"):
        spec = {
            "spark_version": runtime,
            "spark_conf": {"spark.databricks.driver.dbfsLibraryInstallationAllowed": "true"},
        }
        mask = "spark_version,spark_conf"
        send(w, "/api/2.1/clusters/update", cluster_id=cluster("free"), update_mask=mask, cluster=spec)
        databricks.step(900)
        install(w, cluster("free"), {"jar": "dbfs:/libs/app.jar"})
        databricks.step(300)
        found += statuses(w, cluster("free"))
    assert found == ["INSTALLED", "FAILED"]


def test_a_failed_library_is_tried_again_when_it_is_asked_for_again(
    w: WorkspaceClient, databricks: Databricks, cluster: ById
) -> None:
    install(w, cluster("free"), {"requirements": "/Workspace/r.txt"})
    databricks.step(300)
    install(w, cluster("free"), {"requirements": "/Workspace/r.txt"})
    assert statuses(w, cluster("free")) == ["PENDING"]


@pytest.mark.parametrize(
    ("libraries", "message"),
    [
        ([], "libraries"),
        ([{}], "Exactly one of"),
        ([{"pypi": {"package": "a"}, "jar": "b"}], "Exactly one of"),
        ([{"wheel": "a"}], "Exactly one of"),
        ([{"maven": {"repo": "x"}}], r"Missing required field: maven\.coordinates"),
        ([{"maven": {"coordinates": "a:b"}}], "Invalid maven coordinates"),
        ([{"jar": {"path": "x"}}], "jar must be a string"),
        ("x", "must be a list"),
    ],
)
def test_a_library_that_cannot_be_is_refused(w: WorkspaceClient, cluster: ById, libraries: Any, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        send(w, "/api/2.0/libraries/install", cluster_id=cluster("free"), libraries=libraries)
    assert on(w, cluster("free")) == []


def test_without_the_right_nothing_is_installed(databricks: Databricks) -> None:
    ws = databricks.workspaces["limited"]
    limited = WorkspaceClient(host=ws.host, token=ws.token)
    with pytest.raises(PermissionDenied, match="Manage"):
        install(limited, short_form.cluster_id("limited", "restartable"), PYPI)


def test_libraries_of_a_deleted_cluster_are_gone(w: WorkspaceClient, cluster: ById) -> None:
    w.clusters.permanent_delete(cluster("with-libraries"))
    assert cluster("with-libraries") not in {s.cluster_id for s in w.libraries.all_cluster_statuses()}
