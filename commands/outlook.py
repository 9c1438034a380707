"""Where we are, what holds us, who must act: said of a rollout and of one stage. Pure."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from commands import teamwords
from commands.reply import At, Button, Icon, Line, Person, Strong, line
from commands.words import count, doing, icon, listed, short
from rollout import conditions, gates, teams
from rollout.gatefacts import sign_facts, start_facts
from rollout.gates import Proceed, Refuse
from rollout.issues import Issue
from rollout.plan import Item
from rollout.reasons import Reason
from rollout.standing import HAS_CHANGES, StageStanding, Standing
from rollout.states import ENGINE_STATES, StageState
from rollout.windows import frozen, may_touch, may_touch_from


def where(standing: Standing, now: datetime) -> Line:
    """The one line that says where the rollout is."""
    stage = standing.current()
    total = len(standing.stages)
    if stage is None:
        return line(Icon("ok"), " ", Strong(f"All {total} stages have passed."))
    if (said := passed_in_name_only(standing, stage)) is not None:
        return said
    passed = sum(standing.has_passed(s.key) for s in standing.stages)
    return line(icon(stage), " ", Strong(stage.key), f" {doing(stage, now)}. {passed_of(passed, total)}.")


def passed_of(passed: int, total: int) -> str:
    """``1 of 5 stages has passed``."""
    return f"{passed} of {count(total, 'stage')} {'has' if passed == 1 else 'have'} passed"


def holds(standing: Standing, now: datetime) -> list[Line]:
    """What holds the rollout; nothing when the bot or a person can simply go on."""
    found: list[Line] = []
    if standing.read_only:
        found.append(line(Icon("info"), " ", Strong("Read only"), ": nothing is started, signed or put back."))
    if standing.paused:
        by = (" by ", Person(standing.paused_by)) if standing.paused_by else ()
        why = f": {standing.paused_reason}" if standing.paused_reason else ""
        found.append(line(Icon("paused"), " Paused", *by, why))
    stage = standing.current()
    if any(s.state in ENGINE_STATES for s in standing.stages):
        found += throttled(standing, now)
    if stage is None:
        return found
    if stage.state in {StageState.WAITING, StageState.READY}:
        for reason in start_reasons(standing, stage.key, now):
            if reason.code != "rollout_paused":
                found.append(line(Icon("info"), " ", reason.sentence))
    elif stage.state is StageState.BLOCKED:
        found.append(line(Icon("blocked"), " ", stage.block_sentence or "It is blocked.", _code(stage.block_code)))
    elif stage.state is StageState.ROLLED_BACK:
        if stage.block_sentence:
            found.append(line(Icon("warning"), " ", stage.block_sentence, _code(stage.block_code)))
        found.append(line(Icon("locked"), " Locked after the rollback", *locked_words(stage)))
    elif stage.state is StageState.BAKING and stage.bake_until:
        found.append(line(Icon("working"), " It bakes until ", At(stage.bake_until)))
    elif stage.state is StageState.UPGRADING and (wait := window_wait(standing, stage, now)):
        found.append(wait)
    elif stage.state is StageState.UPGRADING and stage.waiting_for_runs:
        found.append(runs_wait(stage))
    elif stage.state is StageState.REVIEW:
        for issue in standing.issues_holding_review(stage.key)[:3]:
            found.append(line(Icon("blocked"), f" Issue {short(issue.named, 150)} is open (issues_open)"))
        if nobody := _nobody_left(standing, stage):
            titles = standing.titles()
            who = teamwords.some([titles.get(p, p) for p in nobody])
            found.append(line(Icon("warning"), f" Nobody who is available is left to sign as {who} (roles_unfilled)"))
        if stage.evidence_doubt:
            found.append(line(Icon("warning"), f" {stage.key}: {stage.evidence_doubt} (evidence_altered)"))
        for unmet in conditions.criteria(standing, stage.key):
            said = f" {unmet.title}: {unmet.sentence[:300]} (criteria_unmet)"
            found.append(line(Icon("warning"), said))
        for s in stage.rejections:
            title = standing.titles().get(s.place, s.place)
            found.append(
                line(
                    Icon("warning"),
                    " Rejected (stage_rejected) by ",
                    Person(s.user_id),
                    f" ({title}): {s.comment[:200]}",
                )
            )
    return found


def after_passing(standing: Standing, key: str, now: datetime) -> str:
    """What comes once the stage has passed: the next start, what holds it, or what is left after the last one."""
    after = standing.plan.after(key)
    if after:
        if held_by_items(standing, after[0].key, now):
            number = len(standing.blocking_items(after[0].key))
            items = f"{count(number, 'checklist item')} {'holds' if number == 1 else 'hold'} {after[0].key}"
            return f"Next: {items}: /rollout checklist {after[0].key}"
        return f"Next: /rollout start {after[0].key}"
    return f"It was the last stage. {left_at_the_end(standing)}"


def held_by_items(standing: Standing, key: str, now: datetime) -> bool:
    """Whether open items of the checklist hold the start of a stage."""
    return any(reason.code == "items_open" for reason in start_reasons(standing, key, now))


def left_at_the_end(standing: Standing) -> str:
    """What is still to come when every stage has passed: edits of repositories, lines of the checklist."""
    edits = sum(s.managed - s.arrived for s in standing.stages)
    items = len(items_left(standing))
    words = [f"{count(edits, 'repository edit')} (/rollout plan --managed)"] if edits else []
    words += [f"{count(items, 'checklist item')} (/rollout checklist)"] if items else []
    return f"Still to come: {listed(words)}." if words else "The upgrade is complete."


def items_left(standing: Standing) -> list[Item]:
    """What people have still to tick, whatever it holds up."""
    wanted = (i for i in standing.plan.checklist if i.required and i.by == "person" and i.part_of is None)
    return [i for i in wanted if standing.is_open(i.key)]


def _nobody_left(standing: Standing, stage: StageStanding) -> list[str]:
    """Places that still lack a sign-off, and in which nobody could give it any more."""
    able, lacking = standing.candidates(), stage.lacking(standing.required(stage.key))
    spoken = {s.user_id for s in stage.grants if not s.team} | {stage.started_by or ""}
    return [p for p in lacking if not able.get(p, frozenset()) - spoken]


def passed_in_name_only(standing: Standing, stage: StageStanding) -> Line | None:
    """Why a stage whose state says passed does not count; None when it does, or says nothing of the kind."""
    if stage.state is not StageState.PASSED or standing.has_passed(stage.key):
        return None
    why = stage.evidence_doubt
    if not why:
        lacking = teamwords.missing(standing, stage.lacking(standing.required(stage.key)))
        why = "somebody rejected it" if stage.rejections else f"it lacks {listed(lacking)}"
        why = why if lacking or stage.rejections else "nobody signed it"
    return line(Icon("warning"), " ", Strong(stage.key), f" counts as passed, but {why}: it opens no gate.")


def locked_words(stage: StageStanding) -> Line:
    """By whom a stage was locked, and why, if a reason was given."""
    by: Line = (" by ", Person(stage.locked_by)) if stage.locked_by else ()
    why: Line = (f": {stage.locked_reason[:200]}",) if stage.locked_reason else ()
    return (*by, *why)


def _code(code: str | None) -> str:
    return f" ({code})" if code else ""


def runs_wait(stage: StageStanding) -> Line:
    """That clusters are not restarted while runs are under way on them."""
    names = stage.waiting_for_runs
    named = listed([*names[:3], *([f"{len(names) - 3} more"] if len(names) > 3 else [])])
    waits, them = ("1 cluster waits", "it") if len(names) == 1 else (f"{len(names)} clusters wait", "them")
    return line(Icon("waiting"), f" {waits} until the runs on {them} have ended: {named}")


def window_wait(standing: Standing, stage: StageStanding, now: datetime) -> Line | None:
    """That the stage waits for its change window or for the end of a freeze, if it does."""
    plan = standing.plan
    for shared in (False, True) if stage.shared else (False,):
        if may_touch(plan, stage.key, shared, now):
            continue
        opens = may_touch_from(plan, stage.key, shared, now)
        when = ("; it goes on ", At(opens)) if opens else ("; no window opens any more",)
        if (freeze := frozen(plan.freezes, now)) is not None:
            return line(Icon("waiting"), f" Frozen ({freeze.reason})", *when)
        what = f"{count(stage.shared, 'running cluster')} that people work on: outside" if shared else "Outside"
        return line(Icon("waiting"), f" {what} of the change window", *when)
    return None


def throttled(standing: Standing, now: datetime, among: Collection[str] | None = None) -> list[Line]:
    """The workspaces (all, or those ``among`` these keys) that asked us to slow down, and until when."""
    found = []
    for workspace in standing.workspaces.values():
        if among is not None and workspace.key not in among:
            continue
        now_only = f"; {count(workspace.at_once, 'target')} at once for now" if workspace.at_once else ""
        if workspace.slow_for > 0:
            until = At(now + timedelta(seconds=workspace.slow_for))
            found.append(line(Icon("waiting"), f" {workspace.key} asked us to slow down until ", until, now_only))
        elif now_only:
            found.append(line(Icon("info"), f" {workspace.key} asked us to slow down{now_only}"))
    return found


def start_reasons(standing: Standing, key: str, now: datetime) -> tuple[Reason, ...]:
    """Why nobody at all could start the stage now."""
    plan = standing.plan
    decision = gates.may_start(start_facts(standing, key, "", plan.capabilities.start, now))
    return decision.reasons if isinstance(decision, Refuse) else ()


def who_must_act(standing: Standing, now: datetime) -> list[Line]:
    """Whom the rollout waits for, and what that person types."""
    plan, stage = standing.plan, standing.current()
    if stage is None:
        said = f"Nobody has to sign or start anything. {left_at_the_end(standing)} /rollout report shows the result."
        return [line(said)]
    if standing.read_only:
        return [line("Nobody here: the bot runs read only. Whoever runs it can take ROLLOUT_READ_ONLY away.")]
    starters = listed([plan.roles[r].title for r in plan.capabilities.start if r in plan.roles], "or")
    if standing.paused and stage.state in {*ENGINE_STATES, StageState.READY} - {StageState.ROLLING_BACK}:
        who = listed([plan.roles[r].title for r in plan.capabilities.may_resume if r in plan.roles], "or")
        return [line(f"{who}: ", Strong("/rollout resume"))]
    titles = standing.titles()
    match stage.state:
        case StageState.WAITING | StageState.READY:
            reasons = start_reasons(standing, stage.key, now)
            if not reasons:
                return [line(f"{starters}: ", Strong(f"/rollout start {stage.key}"))]
            return [step for reason in reasons[:4] for step in _steps(standing, stage.key, reason)]
        case StageState.BLOCKED:
            return [
                line(
                    f"{starters}: ",
                    Strong(f"/rollout start {stage.key}"),
                    " tries again what failed, Pin failed leaves it behind; ",
                    Strong(f"/rollout rollback {stage.key}"),
                    " puts everything back.",
                )
            ]
        case StageState.REVIEW:
            lacking = stage.lacking(standing.required(stage.key))
            if stage.rejections:
                roles = teamwords.some([titles.get(s.place, s.place) for s in stage.rejections])
                return [
                    line(
                        f"{starters}: look into it, or ",
                        Strong(f"/rollout rollback {stage.key}"),
                        f"; {roles} can still approve it.",
                    )
                ]
            if conditions.criteria(standing, stage.key):
                again = (Strong(f"/rollout recheck {stage.key}"), " once it is mended, or ")
                either = "; an override takes two people" if conditions.covered(plan, stage.key, "criterion") else ""
                return [line(f"{starters}: ", *again, Strong(f"/rollout rollback {stage.key}"), either)]
            if holding := standing.issues_holding_review(stage.key):
                return [*_resolve(holding), line("Until then nobody can approve; to reject is possible.")]
            who = listed(teamwords.missing(standing, lacking))
            return [line(f"{who}: ", Strong(f"/rollout approve {stage.key}"), " (or reject)")]
        case StageState.PASSED:
            if stage.evidence_doubt or not stage.evidence_digest:
                says = f" says what happened, then /rollout rollback {stage.key}"
                return [line(f"{starters}: ", Strong(f"/rollout audit {stage.key}"), says)]
            who = listed(teamwords.missing(standing, stage.lacking(standing.required(stage.key))))
            return [line(f"{who}: ", Strong(f"/rollout approve {stage.key}"), ", again")]
        case StageState.ROLLED_BACK:
            text = " with what you fixed makes it ready again."
            if stage.block_code:
                text += f" First /rollout rollback {stage.key} tries again what could not be put back."
            return [line(f"{starters}: ", Strong(f"/rollout unlock {stage.key} REASON"), text)]
        case StageState.BAKING if stage.bake_until is not None:
            who = listed(teamwords.missing(standing, dict.fromkeys(standing.required(stage.key), 1)))
            return [line("Nobody for now: it bakes until ", At(stage.bake_until), f". {who} can sign it after that.")]
    return [line("Nobody for now: the bot is working.")]


def _resolve(holding: Sequence[Issue]) -> list[Line]:
    """Who looks after the issues that hold a stage."""
    return [
        line(Person(i.owner), ": resolve ", Strong(short(i.named, 100)), f" (/rollout issues {i.number})")
        for i in holding[:3]
    ]


def _steps(standing: Standing, key: str, reason: Reason) -> list[Line]:
    """What resolves a reason, and whose it is where only some may: open items are those of their roles."""
    if reason.code == "issues_open":
        return _resolve(standing.issues_holding_start(key))
    if reason.code != "items_open":
        return [line(Icon("info"), f" Next: {reason.next_step}")]
    titles = standing.titles()
    roles = dict.fromkeys(role for item in standing.blocking_items(key) for role in item.attest or standing.plan.roles)
    who = listed([titles.get(role, role) for role in roles])
    return [line(f"{who}: ", Strong(reason.next_step), ", each their own items")]


def next_buttons(
    standing: Standing, stage: StageStanding, now: datetime, person: tuple[str, Collection[str]] | None = None
) -> list[Button]:
    """What may be pressed next at a stage: by anybody (on the card), or by one ``person`` (user id, roles)."""
    at = {"rollout": standing.id, "stage": stage.key, "version": stage.version, "generation": stage.generation}
    plan, key = standing.plan, stage.key
    everybody = {*plan.roles, *(teams.member_of(team) for team in plan.teams)}
    roles = frozenset(person[1]) if person else frozenset(everybody)

    def can(allowed: Collection[str]) -> bool:
        return bool(roles & set(allowed))

    found: list[Button] = []
    if stage.state is StageState.PASSED and not standing.has_passed(key):
        again = sign_facts(standing, key, person[0] if person else "", roles, "")
        if isinstance(gates.may_approve(again), Proceed):
            found.append(Button(f"Approve {key}", "approve", at, "primary"))
    elif stage.state is StageState.REVIEW:
        facts = sign_facts(standing, key, person[0], roles, "") if person else None
        held = standing.issues_holding_review(key)
        # What nobody may do now is no button, also not for everybody.
        anybody = not (held or conditions.criteria(standing, key))
        if anybody if facts is None else isinstance(gates.may_approve(facts), Proceed):
            found.append(Button(f"Approve {key}", "approve", at, "primary"))
        if person is None:
            of = {"rollout": standing.id}
            found += [Button(f"Issue #{i.number}", "issues", {**of, "issue": i.number}) for i in held[:3]]
        if facts is None or isinstance(gates.may_reject(facts), Proceed):
            found.append(Button(f"Reject {key}", "reject", at))
        if person and any(s.user_id == person[0] for s in stage.signatures):
            found.append(Button("Take mine back", "revoke", at))
        if conditions.criteria(standing, key) and can(plan.capabilities.start):
            found.append(Button("Check again", "recheck", at))
        if stage.lacking(standing.required(key)) and roles:
            found.append(Button("Ask again", "ask-again", {"rollout": standing.id, "stage": key}))
    elif stage.state is StageState.BLOCKED:
        if can(plan.capabilities.start):
            found.append(Button(f"Retry {key}", "start", at, "primary"))
        if can(plan.capabilities.rollback):
            found.append(Button("Pin failed…", "pin", at))
    elif stage.state in {StageState.READY, StageState.WAITING} and can(plan.capabilities.start):
        actor = person[0] if person else ""
        allowed = roles if person else frozenset(plan.capabilities.start)
        if isinstance(gates.may_start(start_facts(standing, key, actor, allowed, now)), Proceed):
            found.append(Button(f"Start {key}", "start", at, "primary"))
        if stage.begin_at is not None:
            found.append(Button("Cancel the start", "cancel", {"rollout": standing.id, "stage": key}))
    elif stage.state is StageState.ROLLED_BACK and can(plan.capabilities.start):
        found.append(Button(f"Unlock {key}", "unlock", at))
    if not (person is None and stage.state not in ENGINE_STATES):
        if standing.paused and can(plan.capabilities.may_resume):
            found.append(Button("Resume", "resume", {"rollout": standing.id, "version": standing.version}))
        elif (
            not standing.paused
            and can(plan.capabilities.pause)
            and stage.state in ENGINE_STATES
            and stage.state is not StageState.ROLLING_BACK
        ):
            found.append(Button("Pause", "pause", {"rollout": standing.id}))
    if stage.escalation is not None and not stage.looked_after_by and roles:
        at_it = {"rollout": standing.id, "stage": key, "escalation": stage.escalation}
        found.append(Button("I look after it", "acknowledge", at_it))
    # Last: what is red must not be the first thing under the hand.
    retry_revert = stage.state is StageState.ROLLED_BACK and stage.block_code is not None
    if (stage.state in HAS_CHANGES or retry_revert) and can(plan.capabilities.rollback):
        found.append(Button(f"Roll back {key}", "rollback", at, "danger"))
    return found
