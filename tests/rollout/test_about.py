"""Where an object is deployed from, by what it says of itself; drift and patches in words."""

from datetime import UTC, datetime
from typing import Any

import pytest

from rollout.about import BUNDLE, REPOSITORY, SYSTEM, TERRAFORM, About, Managed, managed, perhaps_managed
from rollout.drift import FELL_BACK, Drift, Drifted, grouped, who_said
from rollout.patch import Edited, description

PATH = "/Workspace/Users/ci@example.com/.bundle/marketing/prod/state/metadata.json"


@pytest.mark.parametrize(
    ("tags", "deployment", "edit_mode", "found"),
    [
        ({}, None, None, None),
        ({"team": "x", "terraform": "false"}, None, None, None),
        ({}, None, "EDITABLE", None),
        ({}, {"kind": "BUNDLE", "metadata_file_path": PATH}, "UI_LOCKED", Managed(BUNDLE, "bundle marketing", PATH)),
        ({"repository": "git/x"}, {"kind": "BUNDLE"}, None, Managed(BUNDLE, "git/x")),
        ({}, None, "UI_LOCKED", Managed(BUNDLE)),
        ({}, {"kind": "SYSTEM_MANAGED"}, None, Managed(SYSTEM, "SYSTEM_MANAGED")),
        ({"Repository": " git/x "}, None, None, Managed(REPOSITORY, "git/x")),
        ({"managed_by": "OpenTofu", "repo": "git/y"}, None, None, Managed(TERRAFORM, "git/y")),
        ({"Terraform": "true"}, None, None, Managed(TERRAFORM)),
        ({"deployed-by": "DAB"}, None, None, Managed(BUNDLE)),
    ],
)
def test_where_it_is_deployed_from(
    tags: dict[str, str], deployment: dict[str, Any] | None, edit_mode: str | None, found: Managed | None
) -> None:
    assert managed(tags, deployment, edit_mode) == found


NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)


def drifted(name: str, owner: str | None, repository: str | None) -> Drifted:
    return Drifted(name, "prod", "job", "full", owner, repository, Drift(FELL_BACK, "17.3", "13.3", NOW))


def test_drift_is_grouped_by_repository_and_else_by_owner() -> None:
    found = [drifted("a", "o", "git/x"), drifted("b", "o", None), drifted("c", "p", "git/x"), drifted("d", None, None)]
    groups = [(who, [one.name for one in some]) for who, some in grouped(found)]
    assert groups == [("repository git/x", ["a", "c"]), ("owner o", ["b"]), ("owner unknown", ["d"])]


def test_that_the_api_does_not_say_who_is_said() -> None:
    one = drifted("a", None, None)
    assert who_said(one) == "the API does not say by whom"
    known = Drift(FELL_BACK, "17.3", "13.3", NOW, "mia@example.com", NOW)
    assert Drift.from_json(known.to_json()) == known
    named = Drifted("a", "prod", "cluster", "full", None, None, known)
    assert who_said(named) == "edited by mia@example.com at 2026-03-02 10:00 UTC"


def test_a_patch_says_what_stands_there_and_what_has_to() -> None:
    def field(*path: str, before: object, after: object) -> dict[str, object]:
        return {"path": list(path), "before": before, "after": after}

    main = ("settings", "job_clusters", "main", "new_cluster")
    inner = ("settings", "tasks", "t", "for_each_task", "task", "new_cluster")
    job = Edited(
        'say "hi"',
        "job",
        "prod",
        "77",
        "ci@example.com",
        [
            field(*main, "spark_version", before="13.3.x-photon-scala2.12", after="17.3.x-scala2.13"),
            field(*main, "runtime_engine", before=None, after="PHOTON"),
            field(*inner, "spark_version", before="13.3.x-scala2.12", after="17.3.x-scala2.13"),
        ],
    )
    cluster = Edited("c", "cluster", "prod", "0-1", "o", [field("spark_version", before="a", after="b")])
    assert description("git/x", [job, cluster], "Title").splitlines() == [
        "# Title",
        "# repository: git/x",
        "# owner: ci@example.com, o",
        "# targets: 2",
        "",
        'job: "say \\"hi\\""  # prod, id 77',
        '  job cluster "main":',
        '-   spark_version: "13.3.x-photon-scala2.12"',
        '+   spark_version: "17.3.x-scala2.13"',
        '+   runtime_engine: "PHOTON"',
        '  for-each task "t":',
        '-   spark_version: "13.3.x-scala2.12"',
        '+   spark_version: "17.3.x-scala2.13"',
        "",
        'cluster: "c"  # prod, id 0-1',
        "  configuration:",
        '-   spark_version: "a"',
        '+   spark_version: "b"',
    ]


@pytest.mark.parametrize(
    ("creator", "hint"),
    [
        ("terraform-prod@example.com", "Terraform: terraform-prod@example.com made it"),
        ("svc-OpenTofu@example.com", "Terraform: svc-OpenTofu@example.com made it"),
        ("github-actions@example.com", "a deployment: github-actions@example.com made it"),
        ("data-ci@example.com", "a deployment: data-ci@example.com made it"),
        (
            "5de8c23d-5a4d-4b0c-9e0f-5de8c23d5de8",
            "a deployment: the service principal 5de8c23d-5a4d-4b0c-9e0f-5de8c23d5de8 made it",
        ),
        ("cicero@example.com", None),
        ("ana.deployedoff@example.com", None),
        ("ana@terraform.example.com", None),  # a company, not a name
        ("", None),
        (None, None),
    ],
)
def test_the_name_of_whoever_made_it_is_a_hint_and_no_more(creator: str | None, hint: str | None) -> None:
    assert perhaps_managed(creator) == hint
    about = About(creator=creator)
    assert (about.hint, about.managed) == (hint, None)
    assert about.to_json().get("hint") == hint
    assert About(creator=creator, managed=Managed(TERRAFORM)).hint is None
