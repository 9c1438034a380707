"""What becomes due where each team signs: teams are asked, warned, and left behind or waited for; stale ones are told.

Everything is decided again under the lock of the stage, and each message has a key of its own: however many replicas
tick, and wherever one of them dies, each thing happens once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from rollout import conditions, gates, teams
from rollout.gates import Refuse
from rollout.plan import EachTeam, Plan
from rollout.standing import Signature, StageStanding, Standing
from rollout.states import ActionKind, Decision, StageState
from storage import facts
from storage import teams as stored
from storage.acting import Act, Who, acting
from storage.database import Database
from storage.intents_rollback import pin_target, target_facts
from storage.intents_signing import pass_stage
from storage.models import Action, Outbox, Rollout, Stage, Target
from storage.plans import plan_of
from storage.record import ENGINE, event, post, touch_card

#: The bot itself, as one who acts.
_BOT = Who("", "", surface="engine")
#: What is said where the team is.
_TO_TEAM = frozenset({"team_wanted", "team_warned"})
#: Targets that an event names.
_NAMED = 50


@dataclass(frozen=True, slots=True)
class Waiting:
    """A team that a stage in review waits for."""

    place: str
    team: str
    role: str
    rule: EachTeam
    rejected: bool  # one of its people said no: that is an answer


def tick(database: Database, now: datetime) -> int:
    """Do what is due at ``now`` (calendar); returns how many stages something was done about."""
    with database.read() as session:
        reviews = session.execute(
            select(Stage)
            .join(Rollout)
            .where(Rollout.open, Rollout.paused.is_(False), Stage.state == StageState.REVIEW)
            .order_by(Stage.id)
        ).scalars()
        wanted = []
        for stage in reviews:
            plan = plan_of(stage.rollout)
            if not plan.stage(stage.key).each_team:
                continue
            standing = facts.standing(session, stage.rollout)
            if _something_due(session, standing, stage, now):
                wanted.append((stage.rollout_id, stage.key))
    done = 0
    for rollout_id, key in wanted:
        with acting(database, _BOT, now, rollout_id, None) as act:
            row = act.stages[key]
            if row.state is StageState.REVIEW and not act.rollout.paused:
                done += _do(act, row)
    return done


def waiting(standing: Standing, key: str) -> Iterator[Waiting]:
    """The teams that the stage waits for, in the order of the plan."""
    stage, planned = standing.stage(key), standing.plan.stage(key)
    said_no = {s.place for s in stage.rejections}
    for where in stage.lacking(standing.required(key)):
        rule = planned.each_team.get(teams.role_of(where))
        if teams.team_of(where) and rule is not None:
            yield Waiting(where, teams.team_of(where), teams.role_of(where), rule, where in said_no)


def stale_ones(stage: StageStanding) -> list[Signature]:
    """Sign-offs for teams that no longer count, because what they were given on has changed."""
    return [
        s for s in stage.signatures if s.team and s.decision is Decision.GRANTED and not s.doubt and stage.is_stale(s)
    ]


def key_of(kind: str, stage: Stage, what: str) -> str:
    """The key of a message about one team in this generation of a stage."""
    return f"{kind}:{stage.id}:{stage.generation}:{what}"


def _something_due(session: Session, standing: Standing, stage: Stage, now: datetime) -> bool:
    found = standing.stage(stage.key)
    keys = [_stale_key(stage, found, s) for s in stale_ones(found)]
    for one in waiting(standing, stage.key):
        if one.rejected:
            continue
        if _channel(standing.plan, one.team) is not None:
            keys.append(key_of("team_wanted", stage, one.place))
        if _is_past(teams.warning(one.rule, stage.reviewed_at), now):
            keys.append(key_of("team_warned", stage, one.place))
        if _is_past(teams.deadline(one.rule, stage.reviewed_at), now):
            if one.rule.unsigned == "pin":
                if _was_warned(session, stage, one, now):
                    return True
            else:
                keys.append(key_of("team_overdue", stage, one.place))
    known = set(session.execute(select(Outbox.key).where(Outbox.key.in_(keys))).scalars()) if keys else set()
    return any(key not in known for key in keys)


def _do(act: Act, stage: Stage) -> int:
    before = [_tell_stale(act, stage, s) for s in stale_ones(act.standing.stage(stage.key))]
    for one in list(waiting(act.standing, stage.key)):
        if one.rejected:
            continue
        end = teams.deadline(one.rule, stage.reviewed_at)
        if _channel(act.plan, one.team) is not None:
            before.append(_say(act, stage, "team_wanted", one, end))
        if _is_past(teams.warning(one.rule, stage.reviewed_at), act.now) and _say(act, stage, "team_warned", one, end):
            sentence = f"warned {one.team}: it has not signed {stage.key}"
            _record(act, stage, "team_warned", sentence, one, end)
            before.append(True)
        if end is None or not _is_past(end, act.now):
            continue
        if one.rule.unsigned == "block":
            if _say(act, stage, "team_overdue", one, end):
                _also_to_team(act, stage, "team_overdue", one, end)
                _record(act, stage, "team_overdue", f"{one.team} did not sign {stage.key} by its deadline", one, end)
                before.append(True)
        elif _was_warned(act.session, stage, one, act.now):
            before.append(_leave_behind(act, stage, one, end))
    if any(before):
        touch_card(act.session, stage)
        if conditions.may_pass(act.look(), stage.key):
            pass_stage(act, stage, ENGINE)
    return int(any(before))


def _leave_behind(act: Act, stage: Stage, one: Waiting, end: datetime) -> bool:
    """Put back and pin what belongs to a team that did not sign. What is in flight now is taken the next time."""
    title = act.plan.teams[one.team].title if one.team in act.plan.teams else one.team
    reason = f"team {title} did not sign by {end:%Y-%m-%d %H:%M} UTC"
    owner = _owner(act, stage, one)
    names, reverting, held = [], 0, 0
    allowed = frozenset(act.plan.capabilities.rollback)  # the plan itself says that it is put back
    for target in stored.targets(act.session, stage, one.team):
        found = target_facts(act.session, act.standing, allowed, target)
        if isinstance(gates.may_roll_back_target(found), Refuse):
            held += 1
            continue
        reverting += pin_target(act, stage, target, found, reason, owner)
        names.append(target.name)
    if not names:
        return False
    sentence = f"put back and pinned {len(names)} targets of {stage.key}: {reason}"
    _record(act, stage, "team_unsigned", sentence, one, end, targets=names[:_NAMED], number=len(names), held=held)
    ids = {"names": names[:20], "number": len(names), "reason": reason, "owner": owner, "reverting": reverting}
    _say(act, stage, "team_pinned", one, end, **ids)
    _also_to_team(act, stage, "team_pinned", one, end, **ids)
    return True


def _owner(act: Act, stage: Stage, one: Waiting) -> str:
    """Who answers for the pins: somebody of the team who is there, else who started the stage."""
    people = act.standing.candidates().get(one.place, frozenset())
    return min(people, default=stage.started_by or "")


def _is_past(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and now >= moment


def _was_warned(session: Session, stage: Stage, one: Waiting, now: datetime) -> bool:
    """Whether the team was told long enough ago; after an outage of the bot its time runs from when it was told."""
    at = session.execute(
        select(Outbox.created_at).where(Outbox.key == key_of("team_warned", stage, one.place))
    ).scalar_one_or_none()
    return at is not None and now >= at + teams.notice(one.rule)


def _channel(plan: Plan, team: str) -> str | None:
    return plan.teams[team].channel if team in plan.teams else None


def _say(act: Act, stage: Stage, kind: str, one: Waiting, end: datetime | None, **more: object) -> bool:
    """Queue a message; False when it was queued before. What is asked of a team goes to its channel, else to the thread
    of the stage; what came of it goes to the thread."""
    ids = {"place": one.place, "until": end.isoformat() if end is not None else None, **more}
    channel = _channel(act.plan, one.team)
    if channel is not None and kind in _TO_TEAM:
        ids["to"] = channel
    key = key_of(kind, stage, one.place)
    return post(act.session, act.now, key, kind, rollout_id=stage.rollout_id, stage_id=stage.id, ids=ids, repeat=True)


def _also_to_team(act: Act, stage: Stage, kind: str, one: Waiting, end: datetime | None, **more: object) -> None:
    """The same where the team is; the thread has it already."""
    channel = _channel(act.plan, one.team)
    if channel is not None:
        until = end.isoformat() if end is not None else None
        ids = {"place": one.place, "until": until, "to": channel, "copy": True, **more}
        key = key_of(f"{kind}_there", stage, one.place)
        post(act.session, act.now, key, kind, rollout_id=stage.rollout_id, stage_id=stage.id, ids=ids, repeat=True)


def _record(
    act: Act, stage: Stage, kind: str, sentence: str, one: Waiting, end: datetime | None, **more: object
) -> None:
    data = {"team": one.team, "role": one.role, "until": end.isoformat() if end is not None else None, **more}
    code = "team_unsigned" if kind != "team_warned" else None
    event(act.session, act.now, ENGINE, kind, sentence, stage=stage, reason_code=code, data=data)


# -- stale sign-offs ---------------------------------------------------------------------------------------------------


def _stale_key(stage: Stage, found: StageStanding, sign_off: Signature) -> str:
    return key_of("sign_off_stale", stage, f"{sign_off.id}:{found.evidence_of(sign_off.team)[:16]}")


def _tell_stale(act: Act, stage: Stage, sign_off: Signature) -> bool:
    """Tell the giver what changed, once per change."""
    key = _stale_key(stage, act.standing.stage(stage.key), sign_off)
    said = _what_changed(act.session, stage, sign_off)
    ids = {"by": sign_off.user_id, "place": sign_off.place, "changed": said}
    fresh = post(
        act.session,
        act.now,
        key,
        "sign_off_stale",
        rollout_id=stage.rollout_id,
        stage_id=stage.id,
        ids=ids,
        repeat=True,
    )
    if fresh:
        sentence = f"a sign-off of {stage.key} for {sign_off.team} no longer counts: {said}"
        data = {"sign_off": sign_off.id, "team": sign_off.team}
        event(act.session, act.now, ENGINE, "sign_off_stale", sentence, stage=stage, data=data)
    return fresh


def _what_changed(session: Session, stage: Stage, sign_off: Signature) -> str:
    """In words, what happened to the evidence of a team since it was signed."""
    mine = select(Action.target_id).where(stored.of_stage(stage), Action.team == sign_off.team)
    back = (
        session.execute(
            select(Target.name)
            .join(Action, Action.target_id == Target.id)
            .where(
                Action.stage_id == stage.id,
                Action.generation == stage.generation,
                Action.kind == ActionKind.REVERT,
                Action.created_at >= sign_off.at,
                Target.id.in_(mine),
            )
            .distinct()
            .order_by(Target.name)
        )
        .scalars()
        .all()
    )
    if back:
        more = f" and {len(back) - 5} more" if len(back) > 5 else ""
        return f"put back since: {', '.join(name[:60] for name in back[:5])}{more}"
    return "its verdicts or its change set were frozen anew since"
