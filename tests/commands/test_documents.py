"""Every document with no, one and two thousand targets per stage: it is there, says something, and fits one message."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from commands.plaintext import render
from commands.reply import Block, Buttons, Chart, Choice, Form, Heading, Paragraph, Reply, Table
from rollout.states import ActionKind, ActionState, StageState, Verdict
from storage.models import Action, Evidence, Outbox, Run, Target, Workspace
from tests.commands.world import NOW, PEOPLE, World

S = StageState
KINDS = {
    "decision_wanted": S.REVIEW,
    "stage_blocked": S.BLOCKED,
    "stage_passed": S.PASSED,
    "rollback_started": S.ROLLING_BACK,
    "rollback_ended": S.ROLLED_BACK,
    "bake_worse": S.BAKING,
}


def fits(reply: Reply) -> str:
    """The reply as text; it must fit one message of Slack (50 blocks, about 13,000 characters)."""
    said = render(reply)
    assert reply.text
    assert len(reply.text) < 4000
    assert len(said) < 12_000
    assert len(reply.blocks) <= 45
    for block in reply.blocks:
        _fits(block)
    if reply.form is not None:
        _form_fits(reply.form)
    return said


def _fits(block: Block) -> None:
    match block:
        case Heading(text):
            assert 0 < len(text) <= 150
        case Paragraph(lines, _):
            assert lines
        case Buttons(buttons):
            assert len(buttons) <= 25
            assert all(0 < len(b.label) <= 75 and len(str(dict(b.arguments))) < 1500 for b in buttons)
        case Table(header, rows, _):
            assert len(rows) < 100
            assert all(len(row) == len(header) for row in rows)
        case Chart():
            assert len(block.title) <= 50
            assert 1 <= len(block.series) <= 6
            assert len(block.categories) <= 20
            assert all(len(values) == len(block.categories) for _, values in block.series)


def _form_fits(form: Form) -> None:
    assert len(form.title) <= 24
    assert len(form.submit) <= 24
    assert not any(isinstance(b, Table | Chart) for b in form.body)  # modals take neither
    for question in form.inputs:
        if isinstance(question, Choice):
            assert 1 <= len(question.options) <= 100
            assert all(len(label) <= 75 and len(value) <= 150 for value, label in question.options)


@pytest.fixture(scope="module", params=[0, 1, 2000])
def sized(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world with so many targets per stage; dev has passed, test is under way with failures."""
    made = World(f"sqlite:///{tmp_path_factory.mktemp('sized') / 'rollout.db'}", targets=request.param)
    made.passed("dev")
    made.started("test", S.UPGRADING, bad=50)
    yield made
    made.close()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "status",
        "status dev",
        "status test",
        "status full",
        "plan",
        "plan test",
        "plan full",
        "checklist",
        "checklist canary",
        "report",
        "audit",
        "contacts",
        "help",
        "start test",
        "rollback",
        "rollback test",
    ],
)
def test_every_look_fits_one_screen(sized: World, text: str) -> None:
    fits(sized.say("devops", text))


def test_cards_fit_and_home_has_neither_chart_nor_table(sized: World) -> None:
    for stage in sized.plan.stages:
        fits(sized.door.card(sized.stage(stage.key).id))
    home = sized.door.home(sized.actor("qa"))
    fits(home)
    assert not any(isinstance(b, Table | Chart) for b in home.blocks)


@pytest.mark.parametrize(("kind", "state"), KINDS.items())
def test_every_message_fits_and_falls_silent_when_it_is_over(sized: World, kind: str, state: StageState) -> None:
    before = sized.stage("test")
    columns = ("state", "left_state", "block_code", "block_sentence", "bake_until", "evidence_digest", "reviewed_at")
    values = {name: getattr(before, name) for name in columns}
    sized.set_stage("test", state=state, block_sentence="Too many changes failed.", block_code="max_failures")
    try:
        reply = sized.door.document(kind, sized.rollout_id, before.id, {"sentence": "Its jobs fail more often."})
        assert reply is not None
        assert "test" in fits(reply)
        sized.set_stage("test", state=S.VALIDATING)
        over = sized.door.document(kind, sized.rollout_id, before.id, {})
        assert (over is None) is (kind not in {"rollback_started", "bake_worse"})
    finally:
        sized.set_stage("test", **values)


def test_the_daily_summary_says_states_runtimes_failures_and_who_must_act(sized: World) -> None:
    sized.now = NOW + timedelta(hours=2)
    reply = sized.door.document("daily_summary", sized.rollout_id, None, {"period": "2026-03-02"})
    sized.now = NOW
    assert reply is not None
    said = fits(reply)
    assert "Who must act" in said
    assert "Daily summary" in said
    targets = len(sized.targets("test"))
    assert len([b for b in reply.blocks if isinstance(b, Chart)]) == (1 if targets else 0)
    assert (f"{min(targets, 50)} × write_refused" in said) is (targets > 0)


def test_a_document_of_an_unknown_kind_or_a_closed_matter_is_none(world: World) -> None:
    assert world.door.document("no_such_kind", world.rollout_id, None, {}) is None
    assert world.door.document("paused", world.rollout_id, None, {}) is None
    assert world.door.document("pinned", world.rollout_id, world.stage("dev").id, {"target_id": 1}) is None
    assert world.door.document("stage_passed", 999, None, {}) is None


def test_pause_and_pin_are_told_to_the_channel(world: World) -> None:
    world.say("qa", "pause numbers look odd")
    paused = world.door.document("paused", world.rollout_id, None, {})
    assert paused is not None
    assert "numbers look odd" in fits(paused)
    world.started("dev", S.UPGRADING)
    target = world.targets("dev")[0]
    world.confirm("on-call", f"rollback {target.name} flaky")
    pinned = world.door.document("pinned", world.rollout_id, world.stage("dev").id, {"target_id": target.id})
    assert pinned is not None
    assert "flaky" in fits(pinned)


def test_a_shared_look_is_drawn_anew_without_buttons(world: World) -> None:
    world.press("qa", "share", {"verb": "status", "arguments": {"words": "dev"}})
    with world.database.read() as session:
        row = session.execute(select(Outbox)).scalar_one()
    world.started("dev", S.UPGRADING)
    reply = world.door.document(row.kind, row.rollout_id, row.stage_id, row.ids)
    assert reply is not None
    said = fits(reply)
    assert "upgrading" in said
    assert f"Shared by @{PEOPLE['qa']}" in said
    assert not any(isinstance(b, Buttons) for b in reply.blocks)


# -- what they say ---------------------------------------------------------------------------------------------------


def test_a_fresh_rollout_says_what_to_type_first(world: World) -> None:
    assert "/rollout start dev" in render(world.say("devops", ""))
    world.alter(Workspace, looked_at=None)
    world.alter(Target, gone=True)
    assert "first look" in render(world.say("devops", "status"))
    assert "first look" in render(world.say("devops", "plan"))


def test_status_says_where_we_are_what_holds_us_and_who_must_act(world: World) -> None:
    world.passed("dev")
    world.started("test", S.BLOCKED, bad=1)
    said = render(world.say("qa", "status"))
    assert "test is blocked" in said
    assert "Too many changes failed." in said
    assert "/rollout start test" in said
    assert "2 of 3 targets upgraded, 1 failed" in said
    assert f"@{PEOPLE['developer']} (Developer)" in said


def test_status_of_a_bake_says_how_long_it_takes_and_shows_the_runs(world: World) -> None:
    world.passed("dev", "test", "staging")
    world.started("canary", S.BAKING)
    facts = {
        "old": {"release": "13.3", "runs": 120, "failures": 2, "median": 185},
        "new": {"release": "17.3", "runs": 40, "failures": 3, "median": 150},
    }
    with world.database.write() as session:
        session.add(
            Evidence(
                stage_id=world.stage("canary").id,
                generation=1,
                criterion="runs_compared",
                verdict=Verdict.PASS,
                sentence="As before.",
                facts=facts,
                at=NOW,
            )
        )
    for reply in (world.say("qa", "status canary"), world.door.card(world.stage("canary").id)):
        said = render(reply)
        assert "another 5 h" in said
        assert "120 runs, 2 failed, median 3 min 5 s" in said
        assert "40 runs, 3 failed, median 2 min 30 s" in said


def test_a_target_shows_before_ours_and_now_with_its_last_runs(world: World) -> None:
    world.started("dev", S.UPGRADING)
    job = next(t for t in world.targets("dev") if t.kind == "job")
    with world.database.write() as session:
        for number, result in enumerate(["success", "failed"]):
            session.add(
                Run(
                    workspace="dev",
                    job_id=job.object_id,
                    run_id=str(number),
                    release="17.3",
                    result=result,
                    started_at=NOW,
                    ended_at=NOW + timedelta(minutes=number),
                    duration=75.0,
                )
            )
    for text in (job.name, job.object_id, f"https://dev.example.net/jobs/{job.object_id}/runs/1", f"“{job.name}”"):
        said = fits(world.say("qa", f"status {text}"))
        assert "Before  13.3" in said
        assert "Ours    17.3" in said
        assert "failed · 1 min 15 s · 17.3" in said


def test_a_name_in_two_workspaces_is_picked_by_a_button(world: World) -> None:
    with world.database.write() as session:
        for target in session.execute(select(Target).where(Target.name.like("% nightly 1"))).scalars():
            target.name = "nightly load"
    reply = world.say("devops", "rollback nightly load it is slow")
    assert reply.refused == "ambiguous_target"
    picks = [b for block in reply.blocks if isinstance(block, Buttons) for b in block.buttons if b.verb == "rollback"]
    assert len(picks) == 5
    world.started("dev", S.UPGRADING)
    of_dev = next(b for b in picks if b.label.endswith("· dev"))
    form = world.press("devops", of_dev.verb, of_dev.arguments).form
    assert form is not None
    assert form.submit == "Roll back target"
    assert form.inputs[0].initial == "it is slow"


def test_the_forms_carry_what_was_shown_and_their_verb_and_stage(world: World) -> None:
    form = world.say("devops", "start dev").form
    assert form is not None
    _form_fits(form)
    assert form.submit == "Start dev"
    assert not any(getattr(i, "required", False) for i in form.inputs)
    world.started("dev", S.REVIEW)
    for person, text, submit in (
        ("developer", "approve dev", "Approve dev"),
        ("developer", "reject dev it is broken", "Reject dev"),
        ("on-call", "rollback", "Roll back dev"),
        ("on-call", "undo dev it broke", "Roll back dev"),
    ):
        form = world.say(person, text).form
        assert form is not None
        _form_fits(form)
        assert form.submit == submit
    assert "dev" in render(world.say("on-call", "rollback"))


def test_who_signs_reads_what_follows_from_it(world: World) -> None:
    world.passed("dev", "test", "staging")
    world.started("canary", S.REVIEW)
    said = fits(world.say("qa", "approve canary"))
    assert "Canary has finished: accept it; full may then be started" in said
    assert "After yours it still needs" in said
    world.confirm("qa", "approve canary")
    world.confirm("tech-lead", "approve canary")
    assert "Yours is the last sign-off" in fits(world.say("product-owner", "approve canary"))
    done = world.confirm("product-owner", "approve canary", comment="fine")
    assert "canary has passed" in render(done)
    assert "Next: 12 checklist items hold full: /rollout checklist full" in render(done)


def test_a_rollback_from_the_refusal_takes_all_later_stages_along(world: World) -> None:
    world.passed("dev", "test")
    world.started("staging", S.UPGRADING)
    refusal = world.say("on-call", "rollback dev")
    button = next(
        b for block in refusal.blocks if isinstance(block, Buttons) for b in block.buttons if b.verb == "rollback"
    )
    form = world.press("on-call", button.verb, button.arguments).form
    done = world.submit("on-call", form)
    assert done.refused is None, done.text
    assert {world.stage(k).state for k in ("dev", "test", "staging")} == {S.ROLLING_BACK}


def test_every_page_of_the_checklist_and_the_audit_can_be_turned(world: World) -> None:
    for page in range(20):
        fits(world.press("devops", "checklist", {"page": page}))
    for number in range(40):
        world.say("qa", f"frobnicate {number}")
        world.say("qa", "start dev")
    first, last = world.press("qa", "audit", {"page": 0}), world.press("qa", "audit", {"page": 99})
    assert "Next" in fits(first)
    assert "Previous" in fits(last)
    assert "start refused (not_permitted)" in render(first)


def test_items_are_ticked_several_at_once_by_a_form(world: World) -> None:
    world.passed("dev", "test", "staging")
    assert "must be done before canary may start" in render(world.say("devops", "checklist"))
    form = world.press("devops", "mark", {"rollout": world.rollout_id}).form
    assert form is not None
    _form_fits(form)
    choice = form.inputs[0]
    assert isinstance(choice, Choice)
    done = world.submit("devops", form, items=[value for value, _ in choice.options[:3]], state="done")
    assert "3 items done" in render(done)
    again = world.press("devops", "unmark", {"rollout": world.rollout_id}).form
    assert again is not None
    assert len(getattr(again.inputs[0], "options", ())) == 3


def test_the_estimate_is_honest(world: World) -> None:
    world.started("dev", S.UPGRADING)
    world.carry_out("dev", ActionKind.CHANGE, ActionState.PENDING)
    assert "too early for an estimate" in render(world.door.card(world.stage("dev").id))


def test_the_pace_of_what_ended_gives_the_estimate(sqlite_url: str) -> None:
    world = World(sqlite_url, targets=10)
    world.started("dev", S.UPGRADING)
    with world.database.write() as session:
        actions = session.execute(select(Action).where(Action.kind == ActionKind.CHANGE)).scalars().all()
        for action in actions[5:]:
            action.state, action.started_at, action.ended_at = ActionState.PENDING, None, None
    world.now = NOW + timedelta(minutes=10)
    assert "5 targets to go, about 10 min at the present pace" in render(world.door.card(world.stage("dev").id))
    world.say("qa", "pause")
    assert "Paused" in render(world.door.card(world.stage("dev").id))
    world.close()


def test_what_people_typed_is_never_markup_nor_terminal_control(world: World) -> None:
    world.say("qa", "pause \x1b[31m<b>*bold*</b>")
    said = render(world.say("qa", "status"))
    assert "\x1b" not in said


def test_help_names_every_command_and_an_unknown_word_its_nearest(world: World) -> None:
    said = render(world.say("qa", "help"))
    for verb in ("status", "plan", "start", "approve", "reject", "pause", "resume", "rollback", "checklist", "audit"):
        assert f"/rollout {verb}" in said
    assert "undo" in render(world.say("qa", "help rollback"))
    assert world.say("qa", "help xyzzy").refused == "unknown_verb"
    assert "status" in render(world.say("qa", "staus"))


def test_a_look_records_nothing(world: World) -> None:
    for text in ("", "status", "plan", "checklist", "report", "audit", "contacts", "help", "start dev"):
        world.say("devops", text)
    assert world.events() == []
