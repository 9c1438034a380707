"""What may be shown of a configuration: only what is known to hold no secret."""

from typing import Any

import pytest

from rollout.masking import HIDDEN, path_words, scrubbed, shown_field, shown_tags, shown_value

SECRET = "hunter2-S3CR3T"


@pytest.mark.parametrize(
    ("path", "value", "shown"),
    [
        (("spark_version",), "13.3.x-scala2.12", "13.3.x-scala2.12"),
        (("num_workers",), 4, "4"),
        (("is_single_node",), True, "true"),
        (("autoscale", "max_workers"), 9, "9"),
        (("settings", "schedule", "pause_status"), "PAUSED", "PAUSED"),
        (("settings", "max_concurrent_runs"), None, "none"),
        (("definition", "spark_version", "values"), ["13.3", "17.3"], "13.3, 17.3"),
        # references are the platform's own way to name a secret without telling it
        (("spark_conf", "fs.key"), "{{secrets/scope/key}}", "{{secrets/scope/key}}"),
        (("spark_env_vars", "TOKEN"), "{{secrets/scope/key}}", "{{secrets/scope/key}}"),
        # what only begins like one is none
        (("spark_conf", "fs.key"), "{{secrets/scope/key}} " + SECRET, HIDDEN),
        # everywhere else nothing is shown, however harmless its name
        (("spark_conf", "spark.sql.shuffle.partitions"), SECRET, HIDDEN),
        (("spark_conf", "spark_version"), SECRET, HIDDEN),
        (("spark_env_vars", "num_workers"), SECRET, HIDDEN),
        (("spark_env_vars",), {"A": SECRET}, HIDDEN),
        (("docker_image", "basic_auth", "password"), SECRET, HIDDEN),
        (("docker_image", "url"), f"https://u:{SECRET}@registry/x", HIDDEN),
        (("custom_tags", "policy_id"), SECRET, HIDDEN),
        (("init_scripts",), [{"s3": {"encryption": {"kms_key": SECRET}}}], HIDDEN),
        (("settings", "tasks", "t", "notebook_task", "base_parameters", "kind"), SECRET, HIDDEN),
        (("settings", "tasks", "t", "spark_python_task", "parameters"), [SECRET], HIDDEN),
        (("settings", "tasks", "t"), {"task_key": "t", "x": SECRET}, HIDDEN),
        (("settings", "name"), SECRET, HIDDEN),
        (("definition",), f'{{"spark_env_vars.T": {{"value": "{SECRET}"}}}}', HIDDEN),
        (("definition", "spark_env_vars.T", "value"), SECRET, HIDDEN),
        (("definition", "spark_version", "note"), SECRET, HIDDEN),
        (("a_field_of_tomorrow",), SECRET, HIDDEN),
        # a token in a field that holds none is no reason to show it
        (("node_type_id",), "dapi0123456789abcdef", HIDDEN),
        ((), SECRET, HIDDEN),
    ],
)
def test_a_value_is_shown_only_where_its_field_is_known_to_hold_no_secret(
    path: tuple[str, ...], value: Any, shown: str
) -> None:
    assert shown_value(path, value) == shown


def test_the_value_of_a_tag_is_shown_only_where_the_plan_writes_it() -> None:
    tags = {"team": "payments", "env": "prod", "api_token": SECRET, "owner": SECRET, "ghp_abcdefghijkl": "x"}
    assert shown_tags(tags, {"team=payments", "env=dev"}) == ["api_token", "env", HIDDEN, "owner", "team=payments"]


@pytest.mark.parametrize(
    "text",
    [
        f"spark.key must be x (is {SECRET})",
        f"NUM is {SECRET}, and again {SECRET}",
    ],
)
def test_a_sentence_of_somebody_else_loses_what_the_configuration_holds(text: str) -> None:
    raws: list[dict[str, Any]] = [
        {"spark_conf": {"a": SECRET}},
        {"settings": {"tasks": [{"task_key": "t", "notebook_task": {"base_parameters": {"a": SECRET}}}]}},
        {"docker_image": {"basic_auth": {"password": SECRET}}},
        {"definition": f'{{"spark_env_vars.TOKEN": {{"type": "fixed", "value": "{SECRET}"}}}}'},
    ]
    for raw in raws:
        assert SECRET not in scrubbed(text, raw)
        assert HIDDEN in scrubbed(text, raw)
    plain = "spark_version must be 13.3.x-scala2.12 (is 17.3.x-scala2.13)"
    assert scrubbed(plain, {"spark_version": "13.3.x-scala2.12", "spark_conf": {"a": "is"}}) == plain


def test_of_a_policy_only_the_rules_about_runtimes_are_shown() -> None:
    rule = '{"type": "fixed", "value": "13.3.x-scala2.12"}'
    whole = f'{{"spark_version": {rule}, "spark_env_vars.TOKEN": {{"type": "fixed", "value": "{SECRET}"}}}}'
    assert shown_field(("definition",), whole) == f"spark_version {rule}"
    assert shown_field(("definition", "spark_version"), rule) == f"spark_version {rule}"
    assert shown_field(("policy_family_definition_overrides",), f'{{"spark_conf.x": "{SECRET}"}}') == HIDDEN
    assert shown_field(("definition",), f"no JSON {SECRET}") == HIDDEN
    assert shown_field(("definition", "spark_version"), None) == "none"


def test_a_step_of_a_path_that_looks_like_a_key_is_hidden_too() -> None:
    assert path_words(("spark_env_vars", "ghp_abcdefghijkl")) == f"spark_env_vars.{HIDDEN}"
    assert path_words(("settings", "tasks", "load")) == "settings.tasks.load"


def test_of_a_new_pool_only_what_sizes_and_loads_it_is_shown() -> None:
    settings = '{"custom_tags": {"key": "' + SECRET + '"}, "max_capacity": 7, "node_type_id": "i3.xlarge"}'
    wanted = '{"max_capacity": 7, "node_type_id": "i3.xlarge"}'
    assert shown_field(("new_pool",), settings) == wanted
    assert shown_field(("new_pool",), f"as it is: {settings}") == wanted
    assert shown_field(("new_pool",), f"no JSON {SECRET}") == HIDDEN
    assert shown_field(("new_pool",), '{"custom_tags": {}}') == HIDDEN
