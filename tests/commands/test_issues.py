"""Issues found on the way: anybody reports, few resolve, critical ones hold, and the evidence knows of them."""

import pytest

from commands.reply import Buttons, FieldErrors, Form, Paragraph, Reply
from rollout.states import StageState
from storage.models import Event, Issue
from tests.commands.world import PEOPLE, World


def form_of(reply: Reply) -> Form:
    assert reply.form is not None, reply.text
    return reply.form


def report(world: World, person: str = "nobody", title: str = "Orders are late", **values: object) -> Reply:
    given = {"title": title, "critical": "no", "about": "other", "owner": PEOPLE[person], **values}
    return world.submit(person, form_of(world.say(person, "/rollout issue dev")), **given)


def labels(reply: Reply) -> list[str]:
    found = [b.label for block in reply.blocks if isinstance(block, Buttons) for b in block.buttons]
    return found + [b.button.label for b in reply.blocks if isinstance(b, Paragraph) and b.button]


def row(world: World, number: int = 1) -> Issue:
    with world.database.read() as session:
        return session.query(Issue).filter(Issue.number == number).one()


def resolve(world: World, person: str, number: int = 1) -> Reply:
    """Press and submit, as somebody does who never saw whether the form would open."""
    arguments = {"rollout": world.rollout_id, "issue": number, "cause": "a", "fix": "b", "submitted": True}
    return world.press(person, "resolve", arguments)


def test_an_empty_list_says_how_to_report(world: World) -> None:
    reply = world.say("nobody", "/rollout issues")
    assert "No issue has been reported" in reply.text
    assert "Report an issue…" in labels(reply)


def test_anybody_reports_and_it_is_recorded(world: World) -> None:
    reply = report(world)
    assert reply.refused is None
    found = row(world)
    assert (found.number, found.stage_key, found.owner, found.critical) == (1, "dev", PEOPLE["nobody"], False)
    (event,) = world.events("issue")
    assert event.actor == PEOPLE["nobody"]
    assert event.data["what"] == "reported"
    assert "Orders are late" in world.say("qa", "/rollout issues").text or "#1" in str(
        world.say("qa", "/rollout issues")
    )


def test_words_after_the_verb_are_the_stage_and_the_title(world: World) -> None:
    form = form_of(world.say("qa", "/rollout issue test nightly job is slow"))
    initial = {i.key: i.initial for i in form.inputs}
    assert initial["title"] == "nightly job is slow"
    assert initial["of_stage"] == ("test",)
    form = form_of(world.say("qa", "/rollout issue nightly job is slow"))
    assert {i.key: i.initial for i in form.inputs}["title"] == "nightly job is slow"


def test_a_form_without_title_or_owner_is_told_so(world: World) -> None:
    form = form_of(world.say("qa", "/rollout issue"))
    with pytest.raises(FieldErrors) as caught:
        world.submit("qa", form, title=" ", owner="")
    assert set(caught.value.errors) == {"title", "owner"}


def test_a_target_is_found_by_name_and_an_unknown_one_loses_nothing(world: World) -> None:
    report(world, on="dev nightly 1")
    assert row(world).target_id == world.targets("dev")[1].id
    refused = report(world, title="Second", on="no such thing")
    assert refused.refused == "unknown_target"
    assert "Back to the form" in labels(refused)
    ambiguous = report(world, title="Third", on="etl")
    assert ambiguous.refused == "ambiguous_target"
    (block,) = [b for b in ambiguous.blocks if isinstance(b, Buttons)]
    again = form_of(world.press("qa", block.buttons[0].verb, block.buttons[0].arguments))
    assert {i.key: i.initial for i in again.inputs}["title"] == "Third"
    assert world.submit("qa", again).refused is None
    assert row(world, 2).target_id is not None


def test_an_open_critical_issue_holds_the_review_and_is_named(world: World) -> None:
    world.started("dev", StageState.REVIEW)
    report(world, critical="yes")
    refused = world.say("developer", "/rollout approve dev")
    assert refused.refused == "issues_open"
    assert "#1 Orders are late" in refused.text
    assert "Issue #1" in labels(refused)  # who may not resolve it may look at it
    assert world.say("developer", "/rollout reject dev it is broken").form is not None
    assert "issue_reported" in world.outbox()


def test_one_who_may_resolve_gets_the_button_in_the_refusal(world: World) -> None:
    world.started("dev", StageState.REVIEW, by="devops-2")
    report(world, critical="yes", owner=PEOPLE["developer"])
    assert "Resolve #1…" in labels(world.say("developer", "/rollout approve dev"))


def test_it_holds_the_start_of_the_next_stage(world: World) -> None:
    world.passed("dev")
    world.tick_all()
    assert world.say("devops", "/rollout start test").form is not None
    report(world, critical="yes")
    assert world.say("devops", "/rollout start test").refused == "issues_open"
    (must,) = (b for b in world.say("developer", "/rollout status").blocks if "Who must act" in str(b))
    assert f"Person(user_id='{PEOPLE['nobody']}')" in str(must)
    assert "resolve " in str(must)
    resolve(world, "devops")
    assert world.say("devops", "/rollout start test").form is not None


def test_an_issue_of_a_later_stage_does_not_hold_an_earlier_one(world: World) -> None:
    world.started("dev", StageState.REVIEW)
    report(world, critical="yes", of_stage="test")
    assert world.say("developer", "/rollout approve dev").form is not None


def test_issues_about_data_hold_the_stage_whose_criterion_counts_them(world: World) -> None:
    world.passed("dev", "test")
    world.started("staging", StageState.REVIEW)
    report(world, about="data", of_stage="staging")
    assert world.say("qa", "/rollout approve staging").refused == "issues_open"
    assert "data" in str(world.say("qa", "/rollout status staging").blocks)
    report(world, about="runs", of_stage="staging", title="Slow")
    resolve(world, "devops")
    assert world.say("qa", "/rollout approve staging").form is not None


def test_somebody_without_rights_cannot_open_the_gate(world: World) -> None:
    """Not by resolving, not by making it less critical, not by making it their own first."""
    world.started("dev", StageState.REVIEW)
    report(world, "qa", critical="yes", owner=PEOPLE["qa"])
    at = {"rollout": world.rollout_id, "issue": 1, "submitted": True}
    assert resolve(world, "developer").refused == "not_permitted"
    less = world.press("developer", "triage", {**at, "critical": "no", "owner": PEOPLE["qa"]})
    mine = world.press("developer", "triage", {**at, "critical": "yes", "owner": PEOPLE["developer"]})
    assert (less.refused, mine.refused) == ("not_permitted", "not_permitted")
    found = row(world)
    assert (found.open, found.critical, found.owner) == (True, True, PEOPLE["qa"])
    assert world.say("developer", "/rollout approve dev").refused == "issues_open"


def test_reporting_a_critical_issue_gives_no_right_to_resolve_it(world: World) -> None:
    report(world, "nobody", critical="yes", owner=PEOPLE["qa"])
    assert resolve(world, "nobody").refused == "not_permitted"
    report(world, "nobody", title="Small", owner=PEOPLE["qa"])
    assert resolve(world, "nobody", 2).refused is None


def test_everybody_may_make_it_critical_or_open_it_again(world: World) -> None:
    report(world, "qa")
    at = {"rollout": world.rollout_id, "issue": 1, "submitted": True}
    assert world.press("nobody", "triage", {**at, "critical": "yes", "owner": PEOPLE["qa"]}).refused is None
    assert resolve(world, "qa").refused is None
    assert world.press("nobody", "reopen", at).refused is None
    assert row(world).open
    assert world.press("nobody", "reopen", at).refused == "issue_not_resolved"


def test_resolving_needs_cause_and_fix_and_happens_once(world: World) -> None:
    report(world, "qa")
    form = form_of(world.press("qa", "resolve", {"rollout": world.rollout_id, "issue": 1}))
    with pytest.raises(FieldErrors):
        world.submit("qa", form, cause="a driver", fix=" ")
    assert world.submit("qa", form, cause="a driver", fix="pinned it").refused is None
    assert world.submit("qa", form, cause="a driver", fix="pinned it").refused in {"stale_view", "issue_resolved"}
    found = row(world)
    assert (found.cause, found.fix, found.resolved_by) == ("a driver", "pinned it", PEOPLE["qa"])
    assert "a driver" in str(world.say("qa", "/rollout issues 1").blocks)


def test_a_button_that_was_drawn_before_the_issue_changed_does_nothing(world: World) -> None:
    report(world, "qa", critical="yes")
    form = form_of(world.press("qa", "resolve", {"rollout": world.rollout_id, "issue": 1, "version": 1}))
    change = {
        "rollout": world.rollout_id,
        "issue": 1,
        "critical": "yes",
        "owner": PEOPLE["tech-lead"],
        "submitted": True,
    }
    assert world.press("devops", "triage", change).refused is None
    assert world.submit("devops", form, cause="a", fix="b").refused == "stale_view"
    assert row(world).open


def test_one_message_is_one_issue(world: World) -> None:
    form = {"rollout": world.rollout_id, "message": "C0SUPPORT1:1.2", "title": "From a thread"}
    first = form_of(world.press("qa", "issue", form))
    second = form_of(world.press("developer", "issue", form))
    assert world.submit("qa", first, permalink="https://example.slack.com/archives/C1/p12").refused is None
    assert world.submit("developer", second).refused == "message_is_issue"
    assert world.press("nobody", "issue", form).refused == "message_is_issue"
    assert "p12" in str(world.say("qa", "/rollout issues").blocks)


def test_who_signed_before_a_critical_issue_signs_again_after_it(world: World) -> None:
    world.passed("dev", "test")
    world.started("staging", StageState.REVIEW)
    before = world.stage("staging").evidence_digest
    assert world.confirm("qa", "/rollout approve staging").refused is None
    report(world, critical="yes", of_stage="staging")
    during = world.stage("staging").evidence_digest
    resolve(world, "devops")
    after = world.stage("staging").evidence_digest
    assert len({before, during, after}) == 3
    assert "QA" in world.confirm("tech-lead", "/rollout approve staging").text  # still missing
    assert world.stage("staging").state is StageState.REVIEW
    assert world.confirm("qa", "/rollout approve staging").refused is None
    assert world.stage("staging").state is StageState.PASSED


def test_an_issue_that_was_lowered_leaves_its_mark_in_the_evidence(world: World) -> None:
    world.started("dev", StageState.REVIEW)
    before = world.stage("dev").evidence_digest
    report(world, critical="yes")
    at = {"rollout": world.rollout_id, "issue": 1, "critical": "no", "owner": PEOPLE["nobody"], "submitted": True}
    assert world.press("devops", "triage", at).refused is None
    assert world.stage("dev").evidence_digest != before
    assert world.confirm("developer", "/rollout approve dev").refused is None


def test_altered_evidence_is_not_taken_over_by_an_issue(world: World) -> None:
    world.started("dev", StageState.REVIEW)
    world.set_stage("dev", evidence_text='{"change_set": null, "verdicts": {}}')
    digest = world.stage("dev").evidence_digest
    report(world, critical="yes")
    resolve(world, "devops")
    assert world.stage("dev").evidence_digest == digest
    assert world.say("developer", "/rollout approve dev").refused == "evidence_altered"


def test_two_thousand_issues_are_paged_open_ones_first(world: World) -> None:
    with world.database.write() as session:
        for number in range(1, 2001):
            session.add(
                Issue(
                    rollout_id=world.rollout_id,
                    number=number,
                    title=f"Issue {number} <!channel>",
                    about="other",
                    critical=number == 7,
                    ever_critical=number == 7,
                    owner=PEOPLE["qa"],
                    reporter=PEOPLE["qa"],
                    open=number % 2 == 1,
                    reported_at=world.now,
                )
            )
    first = world.say("qa", "/rollout issues")
    assert "Issue #7" in labels(first)
    assert "Next (2 of 250)" in labels(first)
    last = world.press("qa", "issues", {"rollout": world.rollout_id, "page": 249})
    assert "Issue #2" in labels(last)
    assert "Issue #7" in labels(world.press("qa", "issues", {"rollout": world.rollout_id, "page": 999}))
    world.started("dev", StageState.REVIEW)
    assert world.say("developer", "/rollout approve dev").refused == "issues_open"


def test_unknown_numbers_and_words_are_refused_with_the_next_step(world: World) -> None:
    assert world.say("qa", "/rollout issues 99").refused == "unknown_issue"
    assert world.say("qa", "/rollout issues nowhere").refused == "unknown_stage"
    assert world.say("qa", "/rollout resolve").refused == "missing_argument"
    assert world.say("qa", "/rollout resolve #99").refused == "unknown_issue"


def test_every_change_of_an_issue_is_an_event(world: World) -> None:
    report(world, "qa")
    resolve(world, "qa")
    world.press("nobody", "reopen", {"rollout": world.rollout_id, "issue": 1, "submitted": True, "comment": "again"})
    with world.database.read() as session:
        said = [e.data["what"] for e in session.query(Event).filter(Event.kind == "issue").order_by(Event.id)]
    assert said == ["reported", "resolved", "reopened"]


def test_what_is_longer_than_a_title_is_in_the_comment(world: World) -> None:
    words = " ".join(f"word{n}" for n in range(300))
    form = form_of(world.say("qa", f"/rollout issue dev {words}"))
    initial = {i.key: i.initial for i in form.inputs}
    assert isinstance(initial["title"], str)
    assert initial["title"].startswith("word0 word1 ")
    assert f"{initial['title']} {str(initial['comment']).removeprefix('…')}" == words
    assert initial["of_stage"] == ("dev",)
    assert world.submit("qa", form, owner=PEOPLE["qa"]).refused is None
    assert "word299" in row(world).comment
    assert "word299" in str(world.say("qa", "/rollout issues 1").blocks)


def test_a_pasted_text_keeps_its_lines_and_says_what_does_not_fit(world: World) -> None:
    text = "/rollout issue test it broke\nTraceback:\n  <https://x.example/1|here>\n" + "a b\n" * 2250
    form = form_of(world.say("qa", text))
    initial = {i.key: i.initial for i in form.inputs}
    comment = str(initial["comment"])
    assert initial["title"] == "it broke"
    assert comment.startswith("Traceback:\nhttps://x.example/1\na b\na b")
    assert len(comment) <= 3000
    assert "more characters do not fit" in comment
    assert initial["of_stage"] == ("test",)


def test_a_stage_alone_in_the_first_line_leaves_the_title_to_the_next(world: World) -> None:
    initial = {i.key: i.initial for i in form_of(world.say("qa", "issue test\nit broke\nbadly")).inputs}
    assert (initial["title"], initial["comment"], initial["of_stage"]) == ("it broke", "badly", ("test",))


def test_a_number_alone_is_no_title(world: World) -> None:
    report(world)
    said = world.say("qa", "/rollout issue 1")
    assert (said.form, said.refused) == (None, "missing_argument")
    assert "/rollout issues 1" in said.text
    assert "Issue #1" in labels(said)
    assert "Issue #99" not in labels(world.say("qa", "/rollout issue #99"))


def test_a_long_comment_is_not_lost_when_its_target_is_unknown(world: World) -> None:
    comment = "x" * 1500 + "the end"
    refused = report(world, on="no such thing", comment=comment)
    assert refused.refused == "unknown_target"
    shown = "".join(str(part) for b in refused.blocks if isinstance(b, Paragraph) for one in b.lines for part in one)
    assert comment in shown
    (back,) = [b for block in refused.blocks if isinstance(block, Buttons) for b in block.buttons if "Back" in b.label]
    assert len(str(back.arguments)) < 1500
