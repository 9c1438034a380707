"""``approve STAGE`` and ``reject STAGE``: a form that shows what is being signed, then the sign-off."""

from collections.abc import Mapping, Sequence
from typing import Any

from commands import card, issues, outlook, override, pins, teampart, teamwords
from commands.call import Call, Refused, refused
from commands.reply import (
    Block,
    Button,
    Buttons,
    Choice,
    FieldErrors,
    Form,
    Icon,
    Input,
    Note,
    Paragraph,
    Reply,
    Strong,
    TextInput,
    line,
)
from commands.shown import targets_words
from commands.start import check_version
from commands.teamwords import sign_off_line
from commands.words import doing, listed
from rollout import gates, teams
from rollout.gatefacts import sign_facts
from rollout.standing import StageStanding
from rollout.states import StageState
from storage import intents_signing

_TEAMS = 5


def approve(call: Call) -> Reply:
    """Open the form, or sign."""
    stage = _stage(call, "approve")
    check_version(call, stage)
    asked = sign_facts(call.standing, stage.key, call.actor, call.roles, doing(stage, call.now))
    call.proceed(gates.may_approve(asked))
    if not call.submitted:
        return _approve_form(call, stage, asked.open_roles)
    if (lifted := pins.lift_asked(call, stage.key)) is not None:
        return lifted
    done = intents_signing.approve(
        call.database,
        call.who,
        call.now,
        call.standing.id,
        stage.key,
        role=call.text("role") or None,
        comment=call.text("comment"),
        version=call.number("version"),
        doing=asked.doing,
    )
    if isinstance(done, gates.Refuse):
        raise Refused(done.reasons, stage.key)
    titles = call.standing.titles()
    title = titles.get(done.role, done.role)
    if done.passed:
        said = f"{stage.key} has passed: yours was the last sign-off."
        following = (
            outlook.after_passing(call.standing, stage.key, call.now) if done.opened else _after_last(call, stage)
        )
        buttons = [call.button(f"Plan {done.opened[0]}", "plan", stage=done.opened[0])] if done.opened else []
        return _done(said, following, buttons)
    missing = listed(teamwords.missing(call.standing, done.lacking))
    still = f"Still missing: {missing}." if missing else "A rejection still holds it (stage_rejected)."
    return _done(f"You approved {stage.key} as {title}.", still, [call.button("Status", "status", stage=stage.key)])


def reject(call: Call) -> Reply:
    """Open the form, or reject."""
    stage = _stage(call, "reject")
    check_version(call, stage)
    asked = sign_facts(call.standing, stage.key, call.actor, call.roles, doing(stage, call.now))
    call.proceed(gates.may_reject(asked))
    if not call.submitted:
        return _reject_form(call, stage, asked.held)
    done = intents_signing.reject(
        call.database,
        call.who,
        call.now,
        call.standing.id,
        stage.key,
        call.text("reason") or call.reason,
        role=call.text("role") or None,
        version=call.number("version"),
        doing=asked.doing,
    )
    if isinstance(done, gates.Refuse):
        raise Refused(done.reasons, stage.key)
    title = call.standing.titles().get(done.role, done.role)
    return _done(
        f"You rejected {stage.key} as {title}.",
        f"It stays in review until you or another {title} approves it; /rollout rollback {stage.key} puts it back.",
        [call.button("Status", "status", stage=stage.key)],
    )


def check_reject(arguments: Mapping[str, Any]) -> None:
    """A rejection says why."""
    if not str(arguments.get("reason") or "").strip():
        raise FieldErrors({"reason": "Say why: those who worked on it will read this."})


def _stage(call: Call, verb: str) -> StageStanding:
    if call.stage_key is not None:
        return call.stage
    in_review = [s for s in call.standing.stages if s.state is StageState.REVIEW]
    if in_review:
        buttons = [call.button(f"{verb.capitalize()} {s.key}", verb, stage=s.key) for s in in_review[:5]]
        names = listed([s.key for s in in_review])
        raise refused(
            "missing_argument", f"Which stage? In review: {names}.", f"/rollout {verb} {in_review[0].key}", *buttons
        )
    current = call.standing.current()
    if verb == "approve" and current is not None and current.state is StageState.PASSED:
        return current  # it counts as passed, and its sign-offs do not carry that
    where = f"{current.key} {doing(current, call.now)}" if current else "all stages have passed"
    raise refused("nothing_to_approve", f"Nothing to {verb} now: {where}.", "/rollout status")


def _approve_form(call: Call, stage: StageStanding, open_roles: Sequence[str]) -> Reply:
    titles = call.standing.titles()
    best = intents_signing.best_role(call.standing, stage.key, call.actor, open_roles)
    inputs: list[Input] = []
    if len(open_roles) > 1:
        options = tuple((r, titles.get(r, r)[:75]) for r in open_roles)
        inputs.append(Choice("role", "You sign as", options, initial=(best,)))
    inputs.append(TextInput("comment", "Comment", multiline=True, max_length=500))
    asked, more = pins.asked(call, stage.key)
    inputs += more
    shown = _what_is_signed(call, stage, open_roles)
    body = (*shown, *asked, *_consequence(call, stage, best))
    arguments: dict[str, Any] = {"rollout": call.standing.id, "stage": stage.key, "version": stage.version}
    if len(open_roles) == 1:
        arguments["role"] = best
    form = Form(f"Approve {stage.key}", "approve", arguments, f"Approve {stage.key}", body, tuple(inputs))
    return Reply(f"Approve {stage.key}? {targets_words(stage)}.", form=form)


def _reject_form(call: Call, stage: StageStanding, held: Sequence[str]) -> Reply:
    titles = call.standing.titles()
    inputs: list[Input] = []
    if len(held) > 1:
        options = tuple((r, titles.get(r, r)[:75]) for r in held)
        inputs.append(Choice("role", "You speak as", options, initial=(held[0],)))
    inputs.append(
        TextInput("reason", "What is wrong?", required=True, multiline=True, initial=call.reason[:500], max_length=500)
    )
    body = (
        *_what_is_signed(call, stage, held, accepting=False),
        Paragraph((line("A rejection holds the stage until you, or another person of your role, approves it."),)),
    )
    arguments = {"rollout": call.standing.id, "stage": stage.key, "version": stage.version}
    form = Form(f"Reject {stage.key}", "reject", arguments, f"Reject {stage.key}", body, tuple(inputs), danger=True)
    return Reply(f"Reject {stage.key}?", form=form)


def _consequence(call: Call, stage: StageStanding, role: str) -> tuple[Block, ...]:
    """In plain words what the sign-off leads to, so that nobody passes a stage unaware."""
    lacking = stage.lacking(call.standing.required(stage.key))
    rest = {r: n - (1 if r == role else 0) for r, n in lacking.items()}
    missing = teamwords.missing(call.standing, {r: 1 for r, n in rest.items() if n > 0})
    if missing:
        return (Paragraph((line(f"After yours it still needs {listed(missing)}."),)),)
    after = call.plan.after(stage.key)
    then = "" if after else f" It is the last stage. {outlook.left_at_the_end(call.standing)}"
    return (
        Paragraph((line(Icon("info"), " ", Strong("Yours is the last sign-off."), f" It passes {stage.key}.{then}"),)),
    )


def _what_is_signed(
    call: Call, stage: StageStanding, places: Sequence[str], accepting: bool = True
) -> tuple[Block, ...]:
    """What a person signs in one of these places: the whole stage, or what belongs to their team."""
    standing = call.standing
    after = call.plan.after(stage.key)
    name = stage.key.capitalize()
    then = f"{after[0].key} may then be started" if after else "it is the last stage"
    asked = f"{name} has finished: accept it; {then}." if accepting else f"{name} has finished; you do not accept it."
    mine = list(dict.fromkeys(team for p in places if (team := teams.team_of(p))))
    only_teams = bool(mine) and all(teams.team_of(p) for p in places)
    head = [line(Strong(asked)), line(targets_words(stage).capitalize() + ".")]
    if accepting and len(places) == 1:
        head.append(line(f"You sign as {standing.titles().get(places[0], places[0])}."))
    blocks: list[Block] = [Paragraph(tuple(head))]
    with call.database.read() as session:
        for team in mine[:_TEAMS]:
            blocks += teampart.part(session, standing, stage, team)
        blocks += card.criteria(standing, stage)
        blocks += card.runs(standing, stage)
        blocks += [] if only_teams else card.failures(session, stage)  # a team is shown its own
    if passed_over := override.lines(stage):
        blocks.append(Paragraph(tuple(passed_over)))
    blocks += issues.of_stage(standing, stage, 10)
    if stage.pinned and not only_teams:
        blocks += pins.listed(standing, tuple(p for p in standing.pins if p.stage == stage.key))
    if stage.signatures:
        said = (sign_off_line(standing, stage), *teamwords.lines(standing, stage))
        blocks.append(Paragraph(said))
    digest = (stage.change_set_digest or "")[:8]
    evidence = stage.evidence_of(mine[0]) if only_teams and len(mine) == 1 else stage.evidence_digest
    blocks.append(Note(line(f"Change set {digest} · evidence {(evidence or '-')[:8]}")))
    return tuple(blocks)


def _after_last(call: Call, stage: StageStanding) -> str:
    after = call.plan.after(stage.key)
    return f"/rollout status {after[0].key} shows what comes next." if after else "/rollout report shows the result."


def _done(said: str, following: str, buttons: Sequence[Button]) -> Reply:
    blocks: list[Block] = [Paragraph((line(Icon("ok"), " ", Strong(said)), line(following)))]
    if buttons:
        blocks.append(Buttons(tuple(buttons)))
    return Reply(f"{said} {following}", tuple(blocks))
