"""Pipelines: found and reported, never changed. Their runtime is chosen by their channel (facts: databricks a10)."""

from collections.abc import Iterator

from rollout.about import About
from rollout.change import Found, Raw, Skip
from workspace.client import Client


def discover(client: Client) -> Iterator[Found]:
    """Every pipeline of the workspace, by listing. Raises the WorkspaceErrors of ``Client.get``."""
    for page in client.pages("/api/2.0/pipelines", {"max_results": 100}):
        for raw in page.get("statuses") or ():
            yield Found(
                kind="pipeline",
                object_id=str(raw["pipeline_id"]),
                name=str(raw.get("name") or raw["pipeline_id"]),
                owner=raw.get("run_as_user_name") or raw.get("creator_user_name"),
                runtimes=(),
                state=str(raw.get("state") or "UNKNOWN"),
                raw=raw,
                about=About(creator=raw.get("creator_user_name"), run_as=raw.get("run_as_user_name")),
            )


def plan(raw: Raw) -> Skip:
    """Why a pipeline is left alone."""
    return Skip(
        "managed_pipeline",
        "It is a pipeline: Databricks chooses its runtime by its channel.",
        "Nothing to do here; the channel PREVIEW shows beforehand what CURRENT will run on.",
    )
