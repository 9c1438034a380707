"""Whether a target is as its backup says: every field counts, order of entries does not, secrets never come out."""

from typing import Any

import pytest

from rollout.change import Change, FieldChange
from rollout.comparing import Compared, differences, shown_differences
from workspace import clusters, jobs, policies

OLD, NEW = "13.3.x-scala2.12", "17.3.x-scala2.13"


def paths(before: Any, now: Any) -> list[str]:
    return [".".join(d.path) for d in differences(before, now)]


@pytest.mark.parametrize(
    ("before", "now", "found"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": 1}, {"a": True}, ["a"]),
        ({"a": [1]}, {"a": [True]}, ["a"]),
        ({"a": {"b": 0}}, {"a": {"b": False}}, ["a.b"]),
        ({"a": None}, {}, ["a"]),
        ({}, {"a": {}}, ["a"]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, ["a.c"]),
        ({"tasks": [{"task_key": "x", "n": 1}]}, {"tasks": [{"task_key": "x", "n": 2}]}, ["tasks.x.n"]),
        (
            {"tasks": [{"task_key": "x"}, {"task_key": "y"}]},
            {"tasks": [{"task_key": "y"}, {"task_key": "x"}]},
            [],
        ),
        ({"tasks": [{"task_key": "x"}]}, {"tasks": [{"task_key": "x"}, {"task_key": "y"}]}, ["tasks.y"]),
        ({"tasks": [{"task_key": "x"}, {"task_key": "x"}]}, {"tasks": [{"task_key": "x"}]}, ["tasks"]),
        ({"list": ["a", "b"]}, {"list": ["b", "a"]}, ["list"]),
    ],
)
def test_each_field_in_which_two_configurations_differ_is_found(before: Any, now: Any, found: list[str]) -> None:
    assert paths(before, now) == found


def test_what_the_platform_sets_itself_is_no_difference_of_a_cluster() -> None:
    before = {
        "cluster_id": "c",
        "spark_version": OLD,
        "runtime_engine": "NULL",
        "data_security_mode": "SINGLE_USER",
        "autoscale": {"min_workers": 1, "max_workers": 4},
        "num_workers": 2,
        "state": "RUNNING",
        "last_restarted_time": 1,
        "driver": {"node_id": "i-1"},
        "spec": {"spark_version": OLD},
        "default_tags": {"Creator": "a"},
    }
    now = {
        "cluster_id": "c",
        "spark_version": OLD,
        "data_security_mode": "DATA_SECURITY_MODE_DEDICATED",
        "autoscale": {"min_workers": 1, "max_workers": 4},
        "num_workers": 3,
        "state": "TERMINATED",
        "last_restarted_time": 9,
        "termination_reason": {"code": "INACTIVITY"},
        "spec": {"spark_version": OLD, "apply_policy_default_values": True},
    }
    assert paths(clusters.compared(before), clusters.compared(now)) == []
    assert paths(clusters.compared(before), clusters.compared({**now, "spark_version": NEW})) == ["spark_version"]
    fixed = {k: v for k, v in before.items() if k != "autoscale"}
    assert paths(clusters.compared(fixed), clusters.compared({**fixed, "num_workers": 3})) == ["num_workers"]


def test_the_runtime_deep_inside_a_job_is_found_under_the_path_by_which_we_changed_it() -> None:
    def job(version: str) -> dict[str, Any]:
        inner = {"task_key": "i", "new_cluster": {"spark_version": version, "runtime_engine": "NULL"}}
        task = {"task_key": "t", "for_each_task": {"inputs": "[1]", "task": inner}}
        return {"job_id": 1, "has_more": True, "settings": {"name": "n", "tasks": [task]}}

    path = ("settings", "tasks", "t", "for_each_task", "task", "new_cluster", "spark_version")
    (found,) = differences(jobs.compared(job(OLD)), jobs.compared(job(NEW)))
    assert found.path == path
    change = Change((FieldChange(path, OLD, NEW),))
    assert shown_differences([found], change) == [{"field": ".".join(path), "before": OLD, "ours": NEW, "now": NEW}]


def test_a_policy_is_compared_rule_by_rule_and_not_by_its_white_space() -> None:
    before = {"policy_id": "p", "definition": '{"spark_version": {"type": "fixed", "value": "13.3"}, "a": {"x": 1}}'}
    same = {**before, "definition": '{"a":{"x":1},"spark_version":{"value":"13.3","type":"fixed"}}', "is_default": True}
    wider = {**before, "definition": '{"a":{"x":1},"spark_version":{"type":"allowlist","values":["13.3","17.3"]}}'}
    assert paths(policies.compared(before), policies.compared(same)) == []
    rule = ["definition.spark_version.type", "definition.spark_version.value", "definition.spark_version.values"]
    assert paths(policies.compared(before), policies.compared(wider)) == rule
    change = Change(
        (FieldChange(("definition", "spark_version"), "-", '{"type": "allowlist", "values": ["13.3", "17.3"]}'),)
    )
    shown = shown_differences(differences(policies.compared(before), policies.compared(wider)), change)
    assert shown[2] == {
        "field": "definition.spark_version.values",
        "before": "none",
        "ours": "13.3, 17.3",
        "now": "13.3, 17.3",
    }


def test_the_definition_of_a_policy_of_a_family_is_the_platforms_and_its_overrides_are_not() -> None:
    before = {"policy_family_id": "f", "definition": "{}", "policy_family_definition_overrides": '{"a": 1}'}
    assert paths(policies.compared(before), policies.compared({**before, "definition": '{"new": 1}'})) == []
    changed = {**before, "policy_family_definition_overrides": '{"a": 2}'}
    assert paths(policies.compared(before), policies.compared(changed)) == ["policy_family_definition_overrides.a"]


def test_a_definition_that_is_no_json_is_compared_as_the_text_that_it_is() -> None:
    assert paths(policies.compared({"definition": "{"}), policies.compared({"definition": "{{"})) == ["definition"]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Compared(), ""),
        (Compared(equal=120), "120 of 120 equal to their backups"),
        (Compared(equal=26, supports=2), "26 of 26 equal to their backups (2 of them supports)"),
        (Compared(equal=1, differ=1, supports=1), "1 of 2 equal to their backups, 1 differs (1 of them a support)"),
        (Compared(equal=118, differ=2), "118 of 120 equal to their backups, 2 differ"),
        (Compared(equal=1), "1 of 1 equal to its backup"),
        (
            Compared(equal=1, differ=1, gone=1, unread=2, waiting=3),
            "1 of 8 equal to their backups, 1 differs, 1 no longer exists, 2 could not be looked at, "
            "3 still to be compared",
        ),
    ],
)
def test_the_result_says_how_many_are_equal_and_what_of_the_others_is_known(found: Compared, words: str) -> None:
    assert found.words() == words
    assert found.clean is (found.equal == found.total)
