"""``plan [STAGE]``: the dry run. Every target before and after, what is left alone and why. Changes nothing."""

from commands import amendment, machines, managed, pins, supports, teamwords
from commands.call import Call
from commands.reply import Block, Buttons, Code, Heading, Icon, Line, Note, Paragraph, Reply, Strong, Table, line
from commands.shown import facts_age, pages, plan_file
from commands.start import calls_words, forced_line
from commands.words import change_words, count, listed, short
from rollout.reasons import CODES
from rollout.standing import Pin, StageStanding
from storage import dryrun
from storage import managed as storage_managed
from storage.dryrun import PlannedRow

_A_PAGE = 20


def plan(call: Call) -> Reply:
    """The dry run of one stage, or of all."""
    if call.request.arguments.get("managed"):
        return managed.edits(call)
    standing = call.standing
    key = call.stage_key
    with call.database.read() as session:
        effects = dryrun.effects(session, standing.id, key)
        alone = dryrun.left_alone(session, standing.id, key)
        page = min(call.page, max((effects.total - 1) // _A_PAGE, 0))
        rows = dryrun.plan_page(session, standing.id, key, _A_PAGE, page * _A_PAGE)
        overall = page == 0 and key is None
        changes = [*amendment.history(session, standing), *plan_file(standing)] if overall else []
    title = f"What {key} would change" if key else "What the rollout would change"
    blocks: list[Block] = [Heading(title)]
    if not effects.total:
        blocks += [Paragraph((line(_empty(call)),)), *changes, Note(facts_age(standing, call.now)), _buttons(call)]
        return Reply(_empty(call), tuple(blocks), share=True)
    if page == 0:
        blocks += _summary(call, effects, alone)
    blocks.append(Table(("target", "where", "stage", "change", "note"), tuple(_row(r) for r in rows)))
    first = page * _A_PAGE + 1
    blocks.append(Note(line(f"{first:,}-{first + len(rows) - 1:,} of {count(effects.total, 'target')}.")))
    if (turn := pages(call, "plan", effects.total, _A_PAGE, **({"stage": key} if key else {}))).buttons:
        blocks.append(turn)
    blocks += [*changes, Note(facts_age(standing, call.now)), _buttons(call)]
    said = f"{title}: {count(effects.changes, 'target')} of {effects.total:,}. Nothing was changed."
    return Reply(said, tuple(blocks), share=True)


def _summary(call: Call, effects: dryrun.Effects, alone: list[dryrun.LeftAlone]) -> list[Block]:
    lines: list[Line] = [
        line(Strong(f"{count(effects.changes, 'target')} would be changed"), f" of {effects.total:,} found."),
    ]
    if effects.changes:
        restarts = f"{count(effects.restarts, 'running cluster')} would be restarted"
        lines.append(
            line(f"{restarts if effects.restarts else 'Nothing would be restarted'}. {calls_words(effects.changes)}")
        )
    started = call.stage_key is not None and call.stage.started
    if started and call.stage_key is not None:
        lines.append(line(Icon("info"), f" {call.stage_key} has begun: this is what is still to be done."))
    if call.stage_key is None:
        per = [f"{s.key} {s.planned:,}" for s in call.standing.stages[:15] if not s.started]
        if per:
            lines.append(line(f"To change by stage: {', '.join(per)}."))
        if call.standing.unassigned:
            text = f" {count(call.standing.unassigned, 'target')} in no stage: the plan's selections take none of them"
            orphans = call.standing.orphans
            lost = f"; {orphans:,} of them on {call.plan.runtimes.source}, which nobody would move" if orphans else ""
            lines.append(line(Icon("warning"), f"{text}{lost}."))
    elif effects.digest:
        lines.append(line("Change set ", Code(effects.digest[:8]), ": a start shows the same, or is refused."))
        lines += supports.changed(effects.supports)
        lines += teamwords.division(call.standing, call.stage)
    lines += supports.kept(call, call.stage_key)
    lines += machines.lines(call, call.stage_key, call.plan.workspaces)
    lines += _overlaps(call)
    blocks: list[Block] = [Paragraph(tuple(lines)), *_elsewhere(call)]
    blocks += pins.listed(call.standing, _pins(call))
    if alone:
        why: list[Line] = [line(Strong("Left alone"))]
        for left in alone[:8]:
            next_step = f" Next: {short(left.next_step, 120)}" if left.next_step else ""
            said = left.sentence if left.count == 1 else f"{CODES.get(left.code, '')}; each one says more in the list."
            why.append(line(f"{left.count:,} × {left.code}: {short(said, 200)}{next_step if left.count == 1 else ''}"))
        if len(alone) > 8:
            why.append(line(f"and {sum(left.count for left in alone[8:]):,} for other reasons, in the list"))
        blocks.append(Paragraph(tuple(why)))
    return blocks


def _pins(call: Call) -> tuple[Pin, ...]:
    return tuple(p for p in call.standing.pins if call.stage_key in (None, p.stage))


def _overlaps(call: Call) -> list[Line]:
    found = dict.fromkeys(
        name for key, names in call.standing.overlaps.items() if call.stage_key in (None, key) for name in names
    )
    if not found:
        return []
    names = list(found)
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    text = f" {count(len(names), 'target')} selected by more than one stage (selection_overlap): {', '.join(names[:5])}"
    return [line(Icon("warning"), f"{text}{more}. None of these stages starts before the plan says which one it is.")]


def _elsewhere(call: Call) -> list[Block]:
    """What is changed in repositories, what is changed by API although a repository owns it, and what runs without a
    job and is only reported."""
    lines: list[Line] = []
    with call.database.read() as session:
        arrivals = storage_managed.arrivals(session, call.standing.id, call.stage_key)
        forced = storage_managed.forced(session, call.standing.id, call.stage_key)
        submitted = dryrun.submitted(session, call.plan.workspaces) if call.stage_key is None else []
    if arrivals:
        lines.append(line(Strong("Deployed from repositories"), ": /rollout plan --managed has the exact edits"))
        lines += managed.arrival_lines(arrivals, 5)
    if forced:
        lines.append(forced_line(forced))
    lines += managed.perhaps_lines(call, call.stage_key)
    source = call.plan.runtimes.source
    old = [(workspace, s) for workspace, s in submitted if source in str(s["release"]).split(" + ")]
    if old:
        number = sum(int(s["runs"]) for _, s in old)
        lines.append(line(Strong(f"{count(number, 'run')} without a job"), f" on {source} in the last week:"))
        for workspace, s in old[:5]:
            lines.append(line(f"{s['creator']}: {short(str(s['name']), 60)} ({int(s['runs']):,} in {workspace})"))
        rest = f"and {len(old) - 5:,} more; " if len(old) > 5 else ""
        lines.append(line(f"{rest}they bring their own cluster: who submits them changes it there."))
    return [Paragraph(tuple(lines))] if lines else []


def _row(row: PlannedRow) -> tuple[str, ...]:
    if row.pinned:
        note, change = f"pinned: {short(row.pinned, 60)}", "left alone"
    elif row.skip_code is not None or not row.change:
        note = f"{row.skip_code or '-'}: {short(row.skip_sentence or '', 90)}"
        change = "left alone"
    else:
        notes = [short(n, 110) for n in row.change.get("notes", ())[:1]]
        note = listed(notes) or "-"
        change = change_words(row.change)
    return (short(row.name, 44), f"{row.kind}, {row.workspace}", row.stage_key or "-", short(change, 60), note)


def _empty(call: Call) -> str:
    looks = call.standing.workspaces
    unseen = [k for k in call.plan.workspaces if k not in looks or looks[k].looked_at is None]
    if unseen:
        return f"The first look at the workspaces is under way ({listed(unseen)}). Ask again in a moment."
    if call.stage_key is not None:
        return f"No target belongs to {call.stage_key}: look at its targets in the plan file."
    return "No cluster or job was found in the workspaces of the plan."


def _buttons(call: Call) -> Buttons:
    buttons = [call.button("Look again", "refresh")]
    if call.stage_key is None:
        stages: list[StageStanding] = [s for s in call.standing.stages if not s.started][:6]
        buttons += [call.button(f"Plan {s.key}", "plan", stage=s.key) for s in stages]
    else:
        buttons.append(call.button("All stages", "plan"))
        may = bool(call.roles & set(call.plan.capabilities.start))
        if may and not call.stage.started:
            version = call.stage.version
            buttons.append(
                call.button(f"Start {call.stage_key}", "start", "primary", stage=call.stage_key, version=version)
            )
    return Buttons(tuple(buttons))
