"""Jobs: every place where a runtime hides, what is planned, and what one write sends."""

import dataclasses
from dataclasses import replace
from typing import Any

import pytest

from rollout import policy
from rollout.change import Change, FieldChange, Found, Holds, Skip, compare, three_way_revert
from rollout.policy import Policy
from rollout.reasons import CODES
from tests.workspace.raws import NEW, OLD, UP, job, spec, task
from tests.workspace.scripted import Answer, Script
from workspace import jobs
from workspace.client import Client
from workspace.errors import Gone, Refused
from workspace.settling import Settled

MIDDLE = "15.4.x-scala2.12"
MAIN = ("settings", "job_clusters", "main", "new_cluster", "spark_version")
OWN = ("settings", "tasks", "own", "new_cluster", "spark_version")
EACH = ("settings", "tasks", "each", "for_each_task", "task", "new_cluster", "spark_version")


def each(**inner: Any) -> dict[str, Any]:
    return task("each", for_each_task={"inputs": "[1]", "task": task("inner", **inner)})


EVERYWHERE = job(
    task("a", job_cluster_key="main"),
    task("b", job_cluster_key="main"),
    task("own", new_cluster=spec()),
    each(new_cluster=spec()),
    task("shared", existing_cluster_id="0101-1-x"),
    clusters={"main": spec(), "other": spec(MIDDLE), "done": spec(NEW)},
)


def one_of(raw: dict[str, Any]) -> Found:
    """What discovery makes of one job."""
    listing = Listing([{"jobs": [raw]}])
    return next(iter(jobs.discover(listing)))  # type: ignore[arg-type]


class Listing:
    """A client that knows one listing."""

    def __init__(self, pages: list[dict[str, Any]]) -> None:
        self._pages = pages

    def pages(self, _path: str, _query: object) -> list[dict[str, Any]]:
        return self._pages


def planned(raw: dict[str, Any]) -> Change:
    change = jobs.plan(raw, UP)
    assert isinstance(change, Change), change
    return change


def test_every_place_on_the_source_changes_and_no_other() -> None:
    change = planned(EVERYWHERE)
    assert change.fields == tuple(FieldChange(path, OLD, NEW) for path in (MAIN, OWN, EACH))
    assert change.restarts is False
    assert change.notes == (
        "job cluster main: 2 tasks use it",
        "job cluster other stays on 15.4",
        "1 task runs on a shared cluster and moves with it",
        "takes effect at the next run",
    )
    assert jobs.release_of(EVERYWHERE) == "13.3 + 15.4 + 17.3"


def test_photon_becomes_an_engine_in_its_place() -> None:
    raw = job(task("own", new_cluster=spec("13.3.x-photon-scala2.12")))
    assert planned(raw).fields == (
        FieldChange(OWN, "13.3.x-photon-scala2.12", NEW),
        FieldChange((*OWN[:-1], "runtime_engine"), None, "PHOTON"),
    )


MAVEN = {"maven": {"coordinates": "com.acme:lib_2.12:1.0"}}
BUNDLE: dict[str, Any] = {"deployment": {"kind": "BUNDLE", "metadata_file_path": "/Workspace/x/metadata.json"}}


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (job(task("own", new_cluster=spec(NEW))), "already_target"),
        (job(task("own", new_cluster=spec(MIDDLE))), "other_runtime"),
        (job(task("own", new_cluster=spec(MIDDLE)), clusters={"m": spec(NEW)}), "other_runtime"),
        (job(task("own", new_cluster=spec(None))), "no_runtime"),
        (job(task("own", new_cluster=spec("custom:x"))), "custom_image"),
        (job(task("own", new_cluster=spec("auto:latest-lts"))), "runtime_unknown"),
        (job(task("own", new_cluster=spec("13.3.x-gpu-ml-scala2.12"))), "runtime_not_offered"),
        (job(task("own", new_cluster=spec("13.3.x-hls-scala2.12"))), "runtime_variant"),
        (job(task("own", new_cluster=spec(docker_image={"url": "x"}))), "custom_image"),
        (job(task("own", new_cluster=spec(data_security_mode="LEGACY_PASSTHROUGH"))), "legacy_access_mode"),
        # one place that may not be changed holds the job
        (job(task("own", new_cluster=spec()), clusters={"m": spec(docker_image={"url": "x"})}), "custom_image"),
        (job(task("own", new_cluster=spec()), clusters={"m": spec("13.3.x-gpu-ml-scala2.12")}), "runtime_not_offered"),
        (job(task("own", new_cluster=spec()), clusters={"m": spec("custom:x")}), "custom_image"),
        (job(task("a", existing_cluster_id="1")), "uses_shared_cluster"),
        (job(each(existing_cluster_id="1")), "uses_shared_cluster"),
        (job(task("a", existing_cluster_id="1"), task("b", environment_key="e")), "uses_shared_cluster"),
        (job(task("a", environment_key="e")), "serverless"),
        (job(task("a")), "serverless"),
        (job(task("a", sql_task={"warehouse_id": "w"})), "sql_warehouse"),
        (job(task("a", sql_task={"warehouse_id": "w"}), task("b", environment_key="e")), "serverless"),
        (job(task("a", pipeline_task={"pipeline_id": "p"})), "managed_pipeline"),
        (job({"task_key": "a", "run_job_task": {"job_id": 1}}), "no_runtime"),
        (job(), "no_runtime"),
        ({"job_id": 1}, "no_runtime"),
        (job(clusters={"m": {}}), "no_runtime"),
        (
            {"job_id": 1, "settings": {"job_clusters": [{"job_cluster_key": "m", "serverless_compute_id": "x"}]}},
            "no_runtime",
        ),
        (job(task("own", new_cluster=spec()), **BUNDLE), "managed_by_bundle"),
        (job(task("own", new_cluster=spec()), deployment={"kind": "SYSTEM_MANAGED"}), "managed_by_bundle"),
        (job(task("own", new_cluster=spec(docker_image={"url": "x"})), **BUNDLE), "managed_by_bundle"),
        (job(task("own", new_cluster=spec()), edit_mode="UI_LOCKED"), "managed_by_bundle"),
        (job(task("own", new_cluster=spec()), tags={"Managed-By": "terraform"}), "managed_by_terraform"),
        (job(task("own", new_cluster=spec()), tags={"terraform": "true"}), "managed_by_terraform"),
        (job(task("own", new_cluster=spec()), tags={"repository": "git.example.com/a"}), "managed_by_repository"),
        (job(task("own", new_cluster=spec(NEW)), **BUNDLE), "already_target"),  # its change has arrived
        (job(task("own", new_cluster=spec(), libraries=[MAVEN])), "scala_library"),
        (job(task("own", new_cluster=spec(), libraries=[{"jar": "dbfs:/x/lib_2.12-1.0.jar"}])), "scala_library"),
        (job(task("own", new_cluster=spec(), libraries=[{"jar": "/Volumes/x/lib_2.12.jar"}])), "scala_library"),
        (job(each(new_cluster=spec(), libraries=[MAVEN])), "scala_library"),
        (job(task("a", job_cluster_key="m", libraries=[MAVEN]), clusters={"m": spec()}), "scala_library"),
        (
            job(task("own", new_cluster=spec(), spark_submit_task={"parameters": ["--packages", "a:b:1,c:d_2.12:1"]})),
            "scala_library",
        ),
        ({**job(task("own", new_cluster=spec())), "has_more": True}, "permission_denied"),
    ],
)
def test_what_is_left_alone_says_why(raw: dict[str, Any], code: str) -> None:
    skip = jobs.plan(raw, UP)
    assert isinstance(skip, Skip), skip
    assert skip.code == code
    assert skip.code in CODES
    assert skip.sentence.endswith(".")
    assert skip.next_step.endswith(".")


@pytest.mark.parametrize(
    "libraries",
    [
        [{"maven": {"coordinates": "com.acme:lib_2.13:1.0"}}],
        [{"maven": {"coordinates": "com.acme:lib:2.12"}}],
        [{"pypi": {"package": "thing_2.12"}}],
        [{"whl": "/x/lib_2.12-py3.whl"}],
        [],
    ],
)
def test_other_libraries_do_not_hold_a_job(libraries: list[dict[str, Any]]) -> None:
    planned(job(task("own", new_cluster=spec(), libraries=libraries)))


def test_an_old_library_elsewhere_does_not_hold_a_job() -> None:
    planned(job(task("own", new_cluster=spec()), task("b", existing_cluster_id="1", libraries=[MAVEN])))


def test_a_bundle_says_where_to_change_it() -> None:
    skip = jobs.plan(job(task("own", new_cluster=spec()), **BUNDLE), UP)
    assert isinstance(skip, Skip)
    assert "/Workspace/x/metadata.json" in skip.next_step


def test_what_a_repository_owns_comes_with_the_exact_edit() -> None:
    skip = jobs.plan(job(task("a", job_cluster_key="m"), clusters={"m": spec()}, **BUNDLE), UP)
    assert isinstance(skip, Skip)
    assert [(f.path, f.before, f.after) for f in skip.proposal] == [
        (("settings", "job_clusters", "m", "new_cluster", "spark_version"), OLD, NEW)
    ]


@pytest.mark.parametrize("more", [{"libraries": [MAVEN]}, {"new_cluster": spec(docker_image={"url": "x"})}])
def test_an_edit_that_would_break_a_job_is_not_proposed_to_its_repository(more: dict[str, Any]) -> None:
    skip = jobs.plan(job(task("own", **{"new_cluster": spec(), **more}), **BUNDLE), UP)
    assert isinstance(skip, Skip)
    assert (skip.code, skip.proposal) == ("managed_by_bundle", ())
    assert " And: " in skip.sentence


def test_a_forced_job_is_changed_and_says_what_the_next_deploy_does() -> None:
    forced = replace(UP, force_managed=True)
    change = jobs.plan(job(task("own", new_cluster=spec()), **BUNDLE, tags={"repository": "git/x"}), forced)
    assert isinstance(change, Change)
    assert change.notes[0].startswith("is deployed from git/x, whose next deploy writes the old runtime back")
    system = jobs.plan(job(task("own", new_cluster=spec()), deployment={"kind": "SYSTEM_MANAGED"}), forced)
    assert isinstance(system, Skip)


@pytest.mark.parametrize(
    ("rule", "code", "release", "said"),
    [
        ({"type": "fixed", "value": OLD}, "runtime_from_policy", "13.3", "fixes it to 13.3"),
        ({"type": "allowlist", "values": [OLD, NEW], "defaultValue": OLD}, "runtime_from_policy", "13.3", "default"),
        ({"type": "regex", "pattern": ".*", "defaultValue": OLD}, "runtime_from_policy", "13.3", "default"),
        ({"type": "fixed", "value": NEW}, "already_target", "17.3", "supplies the runtime 17.3"),
        ({"type": "unlimited", "defaultValue": "15.4.x-scala2.12"}, "other_runtime", "15.4", "15.4"),
        ({"type": "fixed", "value": "auto:latest-lts"}, "runtime_unknown", None, "does not name one release"),
        ({"type": "unlimited"}, "no_runtime", None, "neither does its policy"),
        (None, "policy_unknown", None, "cannot be read"),
    ],
)
def test_a_runtime_that_only_a_policy_supplies(
    rule: dict[str, Any] | None, code: str, release: str | None, said: str
) -> None:
    policies = {"P": Policy("etl", {"spark_version": rule})} if rule is not None else {}
    skip = jobs.plan(job(task("own", new_cluster=spec(None, policy_id="P"))), replace(UP, policies=policies))
    assert isinstance(skip, Skip)
    assert (skip.code, skip.release) == (code, release)
    assert said in skip.sentence


def test_one_place_whose_policy_supplies_the_old_runtime_holds_the_whole_job() -> None:
    up = replace(UP, policies={"P": Policy("etl", {"spark_version": {"type": "fixed", "value": OLD}})})
    raw = job(task("own", new_cluster=spec()), task("other", new_cluster=spec(None, policy_id="P")))
    skip = jobs.plan(raw, up)
    assert isinstance(skip, Skip)
    assert skip.code == "runtime_from_policy"


def test_what_a_job_uses_and_whose_it_is() -> None:
    raw = job(
        task("a", existing_cluster_id="c1"),
        each(existing_cluster_id="c2"),
        {"task_key": "b", "run_job_task": {"job_id": 5}},
        task("p", pipeline_task={"pipeline_id": "pp"}),
        task("m", job_cluster_key="m"),
        clusters={
            "m": spec(policy_id="P", instance_pool_id="W", driver_instance_pool_id="D", custom_tags={"env": "x"})
        },
        tags={"team": "orders"},
    )
    about = one_of(raw).about
    assert about.uses == (
        ("cluster", "c1"),
        ("cluster", "c2"),
        ("job", "5"),
        ("pipeline", "pp"),
        ("policy", "P"),
        ("pool", "D"),
        ("pool", "W"),
    )
    assert about.tags == {"team": "orders", "env": "x"}
    assert (about.creator, about.run_as, about.managed) == ("a@example.com", "bot", None)


def test_the_way_back_is_said_before_the_way_forward_where_the_old_runtime_is_no_longer_listed() -> None:
    raw = job(task("own", new_cluster=spec()))
    listed = replace(UP, fallback="15.4")
    gone = replace(listed, versions=UP.versions - {OLD})
    assert not any("way back" in note for note in planned(raw).notes)
    change = jobs.plan(raw, listed)
    assert isinstance(change, Change)
    assert change.fields[0].fallback == "15.4.x-scala2.12"
    assert not any("way back" in note for note in change.notes)
    warned = jobs.plan(raw, gone)
    assert isinstance(warned, Change)
    assert warned.notes[0] == "the workspace no longer lists 13.3: where it is refused, the way back is to 15.4"
    bare = jobs.plan(raw, replace(gone, fallback=None))
    assert isinstance(bare, Change)
    assert "may be refused, and there is no other" in bare.notes[0]


@pytest.mark.parametrize(
    ("settings", "note"),
    [
        (
            {"continuous": {"pause_status": "UNPAUSED"}},
            "runs continuously: its run is ended and begun anew",
        ),
        ({}, "takes effect at the next run"),
    ],
)
def test_notes_for_the_person_who_confirms(settings: dict[str, Any], note: str) -> None:
    notes = planned(job(task("own", new_cluster=spec()), **settings)).notes
    assert any(n.startswith(note) for n in notes)


@pytest.mark.parametrize(
    ("settings", "state"),
    [
        ({}, "MANUAL"),
        ({"schedule": {"pause_status": "UNPAUSED"}}, "SCHEDULED"),
        ({"schedule": {}}, "MANUAL"),
        ({"schedule": {"quartz_cron_expression": "x"}}, "SCHEDULED"),
        ({"schedule": {"pause_status": "PAUSED"}}, "PAUSED"),
        ({"trigger": {"pause_status": "UNPAUSED"}}, "SCHEDULED"),
        ({"continuous": {"pause_status": "UNPAUSED"}}, "CONTINUOUS"),
        ({"continuous": {"pause_status": "PAUSED"}}, "PAUSED"),
        ({"triggers": [{"schedule": {}, "pause_status": "PAUSED"}, {"periodic": {}}]}, "SCHEDULED"),
        ({"triggers": [{"continuous": {"x": 1}, "pause_status": "UNPAUSED"}]}, "CONTINUOUS"),
    ],
)
def test_what_starts_a_job(script: Script, client: Client, settings: dict[str, Any], state: str) -> None:
    script.on("/api/2.2/jobs/list", Answer(200, {"jobs": [job(task("a"), **settings)]}))
    assert [found.state for found in jobs.discover(client)] == [state]


UPDATE = "/api/2.2/jobs/update"


def test_one_write_sends_the_touched_entries_whole_and_nothing_else(script: Script, client: Client) -> None:
    script.on(UPDATE, Answer(200, {}))
    jobs.apply(client, "77", planned(EVERYWHERE), EVERYWHERE)
    assert [a.body for a in script.asked] == [
        {
            "job_id": 77,
            "new_settings": {
                "job_clusters": [{"job_cluster_key": "main", "new_cluster": spec(NEW)}],
                "tasks": [task("own", new_cluster=spec(NEW)), each(new_cluster=spec(NEW))],
            },
        }
    ]
    assert EVERYWHERE["settings"]["job_clusters"][0]["new_cluster"]["spark_version"] == OLD  # what was read stays


def test_the_inverse_removes_what_was_not_there(script: Script, client: Client) -> None:
    script.on(UPDATE, Answer(200, {}))
    before = job(task("own", new_cluster=spec("13.3.x-photon-scala2.12")))
    change = planned(before)
    now = job(task("own", new_cluster=spec(NEW, runtime_engine="PHOTON")))
    revert = three_way_revert(change, jobs.values(now, change))
    assert revert.change is not None
    jobs.apply(client, "77", revert.change, now)
    assert script.asked[0].body["new_settings"] == {"tasks": before["settings"]["tasks"]}


@pytest.mark.parametrize(
    "now",
    [job(), job(task("own")), job(task("own", new_cluster=None)), job(clusters={"own": spec()})],
)
def test_an_entry_that_is_gone_is_never_invented(script: Script, client: Client, now: dict[str, Any]) -> None:
    change = planned(job(task("own", new_cluster=spec())))
    assert jobs.values(now, change) == [None]
    with pytest.raises(Refused, match="no longer has"):
        jobs.apply(client, "77", change, now)
    assert script.asked == []


def test_values_are_found_by_key_and_not_by_place() -> None:
    change = planned(EVERYWHERE)
    assert compare(change, jobs.values(EVERYWHERE, change)) is Holds.BEFORE
    turned = {**EVERYWHERE, "settings": {**EVERYWHERE["settings"], "tasks": EVERYWHERE["settings"]["tasks"][::-1]}}
    assert compare(change, jobs.values(turned, change)) is Holds.BEFORE


def pages_of(whole: dict[str, Any], size: int) -> list[Answer]:
    """The pages of jobs/get: each array cut, an array that is complete is empty later."""
    settings = whole["settings"]
    answers = []
    length = max(len(settings.get(a) or ()) for a in ("tasks", "job_clusters", "parameters", "environments"))
    for start in range(0, length, size):
        cut = {
            name: (
                value[start : start + size]
                if name in ("tasks", "job_clusters", "parameters", "environments")
                else value
            )
            for name, value in settings.items()
        }
        more = {"next_page_token": f"t{start}"} if start + size < length else {}
        answers.append(Answer(200, {**whole, "settings": cut, "has_more": bool(more), **more}))
    return answers


LARGE = job(
    *[task(f"t{n}", job_cluster_key=f"c{n % 12}") for n in range(25)],
    clusters={f"c{n}": spec() for n in range(12)},
    parameters=[{"name": f"p{n}", "default": ""} for n in range(3)],
    environments=[{"environment_key": "e"}],
)


def test_all_pages_of_a_large_job_are_read(script: Script, client: Client) -> None:
    script.on("/api/2.2/jobs/get", *pages_of(LARGE, 10))
    assert jobs.read(client, "77") == LARGE
    assert [a.query.get("page_token") for a in script.asked] == [None, ["t0"], ["t10"]]


def test_discovery_asks_again_only_for_jobs_with_more(script: Script, client: Client) -> None:
    first = {**pages_of(LARGE, 10)[0].body, "job_id": 78}
    first.pop("next_page_token")
    script.on(
        "/api/2.2/jobs/list",
        Answer(200, {"jobs": [EVERYWHERE, first], "next_page_token": "n"}),
        Answer(200, {"jobs": [{**EVERYWHERE, "job_id": 79}]}),
    )
    script.on("/api/2.2/jobs/get", *pages_of({**LARGE, "job_id": 78}, 10))
    found = list(jobs.discover(client))
    assert [f.object_id for f in found] == ["77", "78", "79"]
    assert found[1].raw == {**LARGE, "job_id": 78}
    assert found[0].runtimes == (OLD, MIDDLE, NEW)
    assert found[0].owner == "bot"
    assert [a.path.rsplit("/", 1)[-1] for a in script.asked] == ["list", "get", "get", "get", "list"]
    assert script.asked[0].query == {"expand_tasks": ["true"], "limit": ["100"]}


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (Answer(400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "Job 77 does not exist."}), []),
        (Answer(403, {"error_code": "PERMISSION_DENIED", "message": "no"}), ["permission_denied"]),
    ],
)
def test_a_large_job_that_cannot_be_read_whole_is_not_planned(
    script: Script, client: Client, answer: Answer, found: list[str]
) -> None:
    script.on("/api/2.2/jobs/list", Answer(200, {"jobs": [{**LARGE, "has_more": True}]}))
    script.on("/api/2.2/jobs/get", answer)
    plans = [jobs.plan(f.raw, UP) for f in jobs.discover(client)]
    assert [p.code for p in plans if isinstance(p, Skip)] == found
    assert len(plans) == len(found)


def test_a_job_that_is_gone(script: Script, client: Client) -> None:
    gone = Answer(400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "Job 77 does not exist."})
    script.on("/api/2.2/jobs/get", gone)
    script.on(UPDATE, gone)
    with pytest.raises(Gone):
        jobs.read(client, "77")
    with pytest.raises(Gone):
        jobs.apply(client, "77", planned(EVERYWHERE), EVERYWHERE)


def test_the_rest(client: Client) -> None:
    assert jobs.editable(EVERYWHERE) is True
    assert jobs.settled(EVERYWHERE, EVERYWHERE).settled is Settled.YES
    assert jobs.url("https://h", "7") == "https://h/jobs/7"
    assert jobs.release_of(job()) == "-"
    assert jobs.release_of(job(task("a", new_cluster=spec("custom:x")))) == "custom:x"
    assert jobs.backup_of(EVERYWHERE) == EVERYWHERE


def test_one_job_cluster_whose_policy_refuses_holds_the_whole_job() -> None:
    narrow = policy.read("etl-13.3", '{"spark_version": {"type": "fixed", "value": "13.3.x-scala2.12"}}')
    raw = job(
        task("a", job_cluster_key="main"), task("own", new_cluster=spec(policy_id="p1")), clusters={"main": spec()}
    )
    skip = jobs.plan(raw, dataclasses.replace(UP, policies={"p1": narrow}))
    assert isinstance(skip, Skip)
    assert skip.code == "policy_refuses"
    assert "etl-13.3" in skip.sentence
