"""Which stage a target belongs to: the first stage of the plan that selects it."""

from fnmatch import fnmatchcase

from rollout.plan import Plan, Selection


def stage_of(plan: Plan, workspace: str, kind: str, name: str) -> str | None:
    """The key of the stage, or None when no stage selects it."""
    for stage in plan.stages:
        if selects(stage.targets, workspace, kind, name):
            return stage.key
    return None


def selects(selection: Selection, workspace: str, kind: str, name: str) -> bool:
    """Whether a selection takes a target. Names are shell patterns, case-sensitive; no names means all."""
    return (
        workspace in selection.workspaces
        and kind in selection.kinds
        and (not selection.names or any(fnmatchcase(name, p) for p in selection.names))
        and not any(fnmatchcase(name, p) for p in selection.exclude)
    )
