"""Acts of people that decide: approve and reject. The last required sign-off passes the stage, once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from rollout import conditions, gates, teams
from rollout.gatefacts import sign_facts
from rollout.gates import Refuse
from rollout.people import unfilled
from rollout.reasons import Reason
from rollout.standing import Standing
from rollout.states import Decision, StageState
from storage import signatures
from storage.acting import Act, Who, acting, open_gates, stale
from storage.database import Database
from storage.models import SignOff, Stage, Workspace
from storage.record import By, event, post, touch_card
from storage.transitions import move


@dataclass(frozen=True, slots=True)
class Signed:
    """The sign-off stands. ``role`` is its place (``rollout.teams``); ``lacking`` is place -> how many are still
    missing; ``opened`` may be started now."""

    stage: str
    role: str
    passed: bool
    lacking: Mapping[str, int]
    opened: tuple[str, ...] = ()


NO_KEY = Refuse(
    (
        Reason(
            "no_signing_key",
            "This process has no key to sign with, and an unsigned sign-off would not count.",
            "Whoever runs the bot sets ROLLOUT_SECRET_KEYS in this process, too.",
        ),
    )
)


def best_role(standing: Standing, stage_key: str, actor: str, open_roles: Sequence[str]) -> str:
    """Of the places in which the person could sign, the first that leaves the others fillable by other people."""
    stage = standing.stage(stage_key)
    lacking = stage.lacking(standing.required(stage_key))
    used = {s.user_id for s in stage.grants} | {actor, stage.started_by or ""}
    for role in open_roles:
        rest = {r: n - (1 if r == role else 0) for r, n in lacking.items()}
        if not unfilled(rest, standing.candidates(), used):
            return role
    return open_roles[0]


def approve(
    database: Database,
    who: Who,
    now: datetime,
    rollout_id: int,
    stage_key: str,
    role: str | None = None,
    comment: str = "",
    version: int | None = None,
    doing: str = "",
) -> Signed | Refuse:
    """Sign the stage in one place. Takes back the person's own rejection there, and others' in the same place.

    A stage that counts as passed although its sign-offs do not carry that may be signed again; it stays passed.
    """
    if not database.keyring:
        return NO_KEY
    with acting(database, who, now, rollout_id, None) as act:
        stage = act.stages[stage_key]
        if act.is_stale(stage, version, None):
            return stale(stage_key)
        asked = sign_facts(act.standing, stage_key, who.user_id, act.roles, doing)
        decision = gates.may_approve(asked)
        if isinstance(decision, Refuse):
            return decision
        if role is None:
            role = best_role(act.standing, stage_key, who.user_id, asked.open_roles)
        if role not in asked.open_roles:
            return Refuse((_wrong_role(act, stage_key, role, asked.held),))
        revoked = _revoke(act, stage, role, rejections_of_role=True)
        signed = _sign(act, stage, role, Decision.GRANTED, comment)
        title = asked.titles.get(role, role)
        event(
            act.session,
            now,
            who.by,
            "approve",
            f"approved {stage_key} as {title}" + (f": {comment}" if comment else ""),
            stage=stage,
            data=_recorded(act, stage, role, signed, revoked),
        )
        found = act.look().stage(stage_key)
        lacking = found.lacking(act.standing.required(stage_key))
        if not conditions.may_pass(act.standing, stage_key):
            touch_card(act.session, stage)
            return Signed(stage_key, role, False, lacking)
        return Signed(stage_key, role, True, {}, tuple(pass_stage(act, stage, who.by)))


def pass_stage(act: Act, stage: Stage, by: By) -> list[str]:
    """A stage whose sign-offs are all there has passed; returns the stages that may be started now. All are locked."""
    if stage.state is StageState.PASSED:
        touch_card(act.session, stage)
        return open_gates(act)
    move(act.session, stage, StageState.PASSED, act.now, by, f"{stage.key} has passed", passed_at=act.now)
    post(
        act.session,
        act.now,
        f"stage_passed:{stage.id}:{stage.generation}",
        "stage_passed",
        rollout_id=stage.rollout_id,
        stage_id=stage.id,
        repeat=True,
    )
    if not act.plan.after(stage.key):
        key = f"final_summary:{stage.id}:{stage.generation}"
        post(act.session, act.now, key, "final_summary", rollout_id=stage.rollout_id, repeat=True)
    # What the stage was the last to use is finished after a fresh look.
    workspaces = act.plan.stage(stage.key).targets.workspaces
    act.session.execute(update(Workspace).where(Workspace.key.in_(workspaces)).values(look_wanted_at=act.now))
    act.look()
    return open_gates(act)


def reject(
    database: Database,
    who: Who,
    now: datetime,
    rollout_id: int,
    stage_key: str,
    reason: str,
    role: str | None = None,
    version: int | None = None,
    doing: str = "",
) -> Signed | Refuse:
    """Say no to the stage, with a reason. It holds until this person, or another of the same role, approves."""
    if not database.keyring:
        return NO_KEY
    with acting(database, who, now, rollout_id, {stage_key}) as act:
        stage = act.stages[stage_key]
        if act.is_stale(stage, version, None):
            return stale(stage_key)
        asked = sign_facts(act.standing, stage_key, who.user_id, act.roles, doing)
        decision = gates.may_reject(asked)
        if isinstance(decision, Refuse):
            return decision
        if not reason.strip():
            return Refuse(
                (Reason("reason_required", "To reject needs a reason.", f"/rollout reject {stage_key} REASON"),)
            )
        role = role or asked.held[0]
        if role not in asked.held:
            return Refuse((_wrong_role(act, stage_key, role, asked.held),))
        revoked = _revoke(act, stage, role, rejections_of_role=False)
        signature = _sign(act, stage, role, Decision.REJECTED, reason)
        title = asked.titles.get(role, role)
        event(
            act.session,
            now,
            who.by,
            "reject",
            f"rejected {stage_key} as {title}: {reason}",
            stage=stage,
            data=_recorded(act, stage, role, signature, revoked),
        )
        touch_card(act.session, stage, final=True)
        post(
            act.session,
            now,
            f"stage_rejected:{stage.id}:{stage.generation}:{signature}",
            "stage_rejected",
            rollout_id=stage.rollout_id,
            stage_id=stage.id,
            ids={"by": who.user_id, "role": title, "reason": reason},
            repeat=True,
        )
        return Signed(stage_key, role, False, act.look().stage(stage_key).lacking(act.standing.required(stage_key)))


def _wrong_role(act: Act, stage_key: str, role: str, held: Sequence[str]) -> Reason:
    titles = act.standing.titles()
    title = titles.get(role, role)
    team = teams.team_of(role)
    if team and role not in held:
        sentence = f"You are not in the team {act.plan.teams[team].title if team in act.plan.teams else team[:40]}."
        return Reason("not_in_team", sentence, "Its own people sign for it; /rollout contacts names whom to ask.")
    if role in held and role in act.standing.stage(stage_key).lacking(act.standing.required(stage_key)):
        sentence = f"You signed {stage_key} already: one person counts once for each of their teams, and not besides."
        return Reason("already_signed", sentence, f"Ask another {title} to type /rollout approve {stage_key}")
    if role in held:
        return Reason("role_filled", f"{title} has all its sign-offs for {stage_key}.", f"/rollout status {stage_key}")
    mine = " or ".join(titles[r] for r in held)
    return Reason("not_a_role_holder", f"You do not sign {stage_key} as {title[:40]}.", f"Sign as {mine}.")


def _recorded(act: Act, stage: Stage, role: str, sign_off: int, revoked: Sequence[int]) -> dict[str, Any]:
    """What the event tells of a sign-off, so that one that was taken out of its table is missed by ``audit``.

    ``groups`` are those of the role, or of the team, that the person was in at that moment: it may rest on them.
    """
    team = teams.team_of(role)
    able = {act.plan.teams[team].group} if team else set(act.plan.roles[role].groups)
    return {
        "groups": sorted(g for g in act.who.groups if g in able),
        "role": teams.role_of(role),
        **({"team": team} if team else {}),
        "evidence_digest": act.standing.stage(stage.key).evidence_of(team),
        "sign_off": sign_off,
        "revoked": list(revoked),
    }


def _revoke(act: Act, stage: Stage, role: str, rejections_of_role: bool) -> list[int]:
    """Take back what the person said before for the stage, or for that team; with ``rejections_of_role`` also others'
    rejections in that place.

    Returns the ids of what was taken back.
    """
    standing = act.session.execute(
        select(SignOff)
        .where(SignOff.stage_id == stage.id, SignOff.generation == stage.generation, SignOff.revoked_at.is_(None))
        .order_by(SignOff.id)
        .execution_options(populate_existing=True)
    ).scalars()
    revoked = []
    for row in standing:
        where = teams.place(row.role, row.team or "")
        of_role = rejections_of_role and where == role and row.decision is Decision.REJECTED
        own = row.user_id == act.who.user_id and (row.team or "") == teams.team_of(role)
        if own or of_role:
            signatures.revoke(act.session, row, _place(stage), act.now, act.who.user_id)
            revoked.append(row.id)
    return revoked


def _sign(act: Act, stage: Stage, role: str, decision: Decision, comment: str) -> int:
    """Insert the sign-off and sign it; returns its id."""
    team = teams.team_of(role)
    row = SignOff(
        stage_id=stage.id,
        generation=stage.generation,
        role=teams.role_of(role),
        team=team or None,
        team_id=act.who.team_id,
        user_id=act.who.user_id,
        decision=decision,
        comment=comment,
        evidence_digest=act.standing.stage(stage.key).evidence_of(team),
        at=act.now,
    )
    act.session.add(row)
    act.session.flush()
    signatures.sign(act.session, row, _place(stage), act.rollout.revision.digest)
    return row.id


def _place(stage: Stage) -> signatures.Place:
    return signatures.Place(stage.rollout_id, stage.key)
