"""``status TARGET``: what one target was, what we wrote, what it is now, and how its runs do."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import and_, select, true

from commands import pins, targetback
from commands.call import Call, refused
from commands.reply import (
    Block,
    Buttons,
    Fields,
    Heading,
    Icon,
    Line,
    Link,
    Note,
    Paragraph,
    Person,
    Reply,
    Strong,
    line,
)
from commands.words import WORK, ago, change_words, count, short
from rollout.change import SUPPORTS, Change
from rollout.drift import WORDS, Drift, Drifted, who_said
from rollout.location import cluster_url, job_url, normal_host, policy_url, pool_url
from rollout.masking import shown_field, shown_tags
from rollout.selection import written_tags
from rollout.sharing import sentence
from rollout.states import ACTION_BAD, ActionKind, ActionState
from storage import comparing, sharing
from storage.models import Action, Run, Target, Workspace

_RUNS = 8
_URLS = {"cluster": cluster_url, "job": job_url, "policy": policy_url, "pool": pool_url}
_STATE = {
    ActionState.PENDING: "not begun",
    ActionState.RUNNING: "under way",
    ActionState.DONE: "done",
    ActionState.SKIPPED: "not needed",
    ActionState.FAILED: "failed",
    ActionState.CONFLICT: "in conflict",
}


def target(call: Call, target_id: int) -> Reply:
    """One target: before, ours, now, its stage, its actions and its last runs."""
    standing, now = call.standing, call.now
    with call.database.read() as session:
        found = session.execute(select(Target).where(Target.id == target_id)).scalar_one_or_none()
        if found is None:
            raise refused("unknown_target", "This target is no longer known.", "/rollout plan")
        stage = next((s for s in standing.stages if s.key == found.stage_key), None)
        present = (
            true()  # a support belongs to no stage: whatever was done to it counts
            if found.kind in SUPPORTS
            else and_(
                Action.stage_id == (stage.id if stage else -1),
                Action.generation == (stage.generation if stage else -1),
            )
        )
        actions = list(
            session.execute(select(Action).where(Action.target_id == target_id, present).order_by(Action.id)).scalars()
        )
        host = session.execute(select(Workspace.host).where(Workspace.key == found.workspace)).scalar_one_or_none()
        runs = (
            list(
                session.execute(
                    select(Run)
                    .where(Run.workspace == found.workspace, Run.job_id == found.object_id)
                    .order_by(Run.ended_at.desc())
                    .limit(_RUNS)
                ).scalars()
            )
            if found.kind == "job"
            else []
        )
        shared = (
            []  # what a support governs is no bond of one target
            if found.kind in SUPPORTS
            else [sentence(*one) for one in sharing.shared_by(session, standing.id, [target_id])]
        )
        comparison = comparing.of_target(session, target_id)
        backups = targetback.read_backups(session, target_id)
    frozen = next((a.change for a in reversed(actions) if a.change), None)
    blocks: list[Block] = [
        Heading(short(f"{found.name}", 140)),
        Fields(tuple(_pairs(found, frozen, now, written_tags(call.plan)))),
    ]
    blocks += _left_alone(found, frozen)
    blocks += _bonds(found, shared)
    if actions:
        blocks.append(Paragraph((line(Strong("What was done")), *[_action(a) for a in actions[-8:]])))
    blocks += targetback.conflicts(actions)
    blocks += targetback.fields(frozen, actions)
    blocks += targetback.comparison(comparison, now)
    blocks += targetback.backups(backups, now)
    if found.kind == "job":
        blocks.append(_runs(runs))
    blocks.append(Note(line(f"Seen {ago(found.seen_at, now)}.", *_link(found, host))))
    buttons = [call.button(f"Stage {found.stage_key}", "status", stage=found.stage_key)] if found.stage_key else []
    may = bool(call.roles & set(call.plan.capabilities.rollback))
    if may and found.kind not in SUPPORTS and _may_be_changed(actions) and not found.pinned_reason:
        buttons.append(call.button("Roll back target", "rollback", "danger", target_id=found.id))
    if found.pinned_reason and pins.may_lift(call, found):
        buttons.append(call.button("Un-pin", "unpin", target_id=found.id))
    elif not found.pinned_reason and found.kind != "pipeline" and not actions and pins.may_set(call, found):
        buttons.append(call.button("Pin", "pin", target_id=found.id))
    buttons.append(call.button("Look again", "refresh"))
    blocks.append(Buttons(tuple(buttons)))
    return Reply(f"{found.name}: {found.release or '-'}, {found.state or 'state unknown'}.", tuple(blocks), share=True)


def _may_be_changed(actions: Sequence[Action]) -> bool:
    """Whether it was changed and not put back since, as far as the journal says."""
    written = [a for a in actions if a.kind in (ActionKind.CHANGE, ActionKind.REVERT)]
    newest = max(written, key=lambda a: a.id, default=None)
    return newest is not None and not (newest.kind is ActionKind.REVERT and newest.state is ActionState.DONE)


def _pairs(
    found: Target, frozen: dict[str, object] | None, now: datetime, known_tags: Collection[str]
) -> list[tuple[str, Line]]:
    change = frozen or found.change
    before, ours = "-", "-"
    if change and found.kind in SUPPORTS:
        rules = Change.from_json(change).fields
        before, ours = (
            short("; ".join(shown_field(f.path, value) for f, value in zip(rules, side, strict=True)), 300)
            for side in zip(*((f.before, f.after) for f in rules), strict=True)
        )
    elif change:
        fields = Change.from_json(change).fields
        before = change_words({"fields": [{"path": f.path, "before": f.before, "after": f.before} for f in fields]})
        ours = change_words({"fields": [{"path": f.path, "before": f.after, "after": f.after} for f in fields]})
        before, ours = (short(_once(text), 150) for text in (before, ours))
    present = f"{found.release or '-'}, {found.state or '-'}" + (", gone" if found.gone else "")
    return [
        ("Kind", line(f"{found.kind} {found.object_id} in {found.workspace}")),
        ("Stage", line(found.stage_key or ("shared by stages" if found.kind in SUPPORTS else "in no stage"))),
        ("Before", line(before)),
        ("Ours", line(ours if frozen else f"{ours} (planned)" if change else "-")),
        ("Now", line(f"{present}, looked at {ago(found.seen_at, now)}")),
        ("Owner", line(_owners(found, known_tags))),
        ("Ran", line(_activity(found))),
    ]


def _owners(found: Target, known_tags: Collection[str]) -> str:
    """Whose it is: as whom it runs, who made it, and where it is deployed from."""
    words = [found.owner or "unknown"]
    creator = str((found.about or {}).get("creator") or "")
    if creator and creator != found.owner:
        words.append(f"made by {creator}")
    if found.managed_by:
        words.append(f"deployed from {found.repository or 'a repository'} ({found.managed_by})")
    if tags := shown_tags((found.about or {}).get("tags") or {}, known_tags):
        words.append(f"tags {', '.join(tags[:8])}")
    return short("; ".join(words), 400)


def _activity(found: Target) -> str:
    """Who ran it last and when, and whether it runs now."""
    seen = found.activity
    if not seen:
        return "none seen in the last day"
    when = datetime.fromisoformat(str(seen["at"])).strftime("%a %d %b %H:%M UTC")
    how = " by its schedule" if seen.get("by_schedule") else ""
    now = f", {count(int(seen.get('running') or 0), 'run')} under way at the last look" if seen.get("running") else ""
    return f"{when}{how}, as {seen.get('by') or 'unknown'}{now}"


def _bonds(found: Target, shared: list[str]) -> list[Block]:
    """What it shares, and that it drifted."""
    lines: list[Line] = [line(Icon("warning"), f" {text}") for text in shared if text]
    if not lines and found.kind in {"cluster", "job"}:
        lines.append(line(Icon("ok"), " Isolated: nothing else moves with it, and it shares no policy and no pool."))
    if found.also_in:
        stages = ", ".join([found.stage_key or "-", *map(str, found.also_in)])
        lines.append(line(Icon("warning"), f" Selected by more than one stage (selection_overlap): {stages}."))
    if found.drift:
        drift = Drift.from_json(found.drift)
        one = Drifted(found.name, found.workspace, found.kind, found.stage_key, None, None, drift)
        said = f" Drifted: {WORDS[drift.what]} ({drift.expected} wanted, {drift.found} found); {who_said(one)}."
        lines.append(line(Icon("warning"), said))
    return [Paragraph(tuple(lines))] if lines else []


def _once(text: str) -> str:
    """``13.3 → 13.3`` as ``13.3``: one side of a change said alone."""
    said = []
    for part in text.split(", "):
        left, arrow, right = part.partition(" → ")
        said.append(left if arrow and right.startswith(left) else part)
    return ", ".join(said)


def _left_alone(found: Target, frozen: dict[str, object] | None) -> list[Block]:
    if found.pinned_reason:
        by = (" by ", Person(found.pinned_by)) if found.pinned_by else ()
        owner = ("; owner ", Person(found.pinned_owner)) if found.pinned_owner else ()
        return [Paragraph((line(Icon("locked"), " Pinned", *by, f": {found.pinned_reason[:300]}", *owner),))]
    if found.skip_code and frozen is None:
        text = f" Left alone ({found.skip_code}): {found.skip_sentence or ''} {found.skip_next or ''}"
        return [Paragraph((line(Icon("info"), text),))]
    return []


def _action(action: Action) -> Line:
    icon = "failed" if action.state in ACTION_BAD else "ok" if action.state is ActionState.DONE else "waiting"
    tries = f" (attempt {action.attempt})" if action.attempt > 1 else ""
    said = f": {short(action.sentence, 250)}" if action.sentence else ""
    code = f" ({action.reason_code})" if action.reason_code else ""
    return line(Icon(icon), f" {WORK[action.kind]}{tries}: {_STATE.get(action.state, str(action.state))}{said}{code}")


def _runs(runs: list[Run]) -> Block:
    if not runs:
        return Paragraph((line("No run has been seen yet."),))
    lines: list[Line] = [line(Strong(f"Last {count(len(runs), 'run')}"))]
    for run in runs:
        icon = Icon("ok" if run.result == "success" else "failed" if run.result in {"failed", "timedout"} else "info")
        seconds = round(run.duration)
        took = f"{seconds // 60} min {seconds % 60} s" if seconds >= 60 else f"{seconds} s"
        when = run.ended_at.strftime("%a %d %b %H:%M UTC")
        lines.append(line(icon, f" {when} · {run.result} · {took} · {run.release or 'runtime unknown'}"))
    return Paragraph(tuple(lines))


def _link(found: Target, host: str | None) -> Line:
    if not host or found.kind not in _URLS:
        return ()
    try:
        base = normal_host(host)
    except ValueError:
        return ()
    url = _URLS[found.kind](base, found.object_id)
    return (" ", Link(url, "Open in Databricks"))
