"""What targets share with the rest of their workspaces, from what the last looks found."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from rollout.sharing import Key, Sharing, sharing
from storage.models import Target, Workspace


def shared_by(session: Session, rollout_id: int, targets: Collection[int]) -> list[tuple[Sharing, dict[Key, str]]]:
    """For each workspace of these targets (by id), sorted: what they share there, and the names of everything in it."""
    rows = session.execute(
        select(Target.workspace, Target.kind, Target.object_id).where(
            Target.rollout_id == rollout_id, Target.id.in_(list(targets))
        )
    )
    mine: dict[str, set[Key]] = {}
    for workspace, kind, object_id in rows:
        mine.setdefault(workspace, set()).add((kind, object_id))
    return [_in_workspace(session, rollout_id, workspace, keys) for workspace, keys in sorted(mine.items())]


def _in_workspace(session: Session, rollout_id: int, workspace: str, keys: set[Key]) -> tuple[Sharing, dict[Key, str]]:
    names: dict[Key, str] = {}
    uses: dict[Key, list[Key]] = {}
    for kind, object_id, name, about in session.execute(
        select(Target.kind, Target.object_id, Target.name, Target.about).where(
            Target.rollout_id == rollout_id, Target.workspace == workspace, Target.gone.is_(False)
        )
    ):
        names[kind, object_id] = name
        uses[kind, object_id] = [(str(k), str(i)) for k, i in (about or {}).get("uses", ())]
    policies = session.execute(select(Workspace.policies).where(Workspace.key == workspace)).scalar_one_or_none()
    names |= {("policy", key): str(policy.get("name") or key) for key, policy in (policies or {}).items()}
    return sharing(uses, keys), names
