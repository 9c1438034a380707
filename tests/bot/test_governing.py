"""The messages of amendments, overrides and escalation as Slack takes them, also when there is very much to say."""

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from bot.render.messages import message
from commands.reply import Reply
from rollout.plan import Escalation, Item, Override, Plan
from rollout.states import StageState, Verdict
from sandbox.slack.blocks.check import check_blocks, too_large
from storage import amending, escalating, overriding
from storage.models import Evidence, Outbox, Stage
from tests.commands.world import PEOPLE, World, sandbox_plan

S = StageState
NASTY = "<!channel> <@U0SAND0001> *b* `c` " + "é🦄" * 150


def ruled() -> Plan:
    plan = sandbox_plan()
    roles = {**plan.roles, "on-call": plan.roles["on-call"].model_copy(update={"title": "<!here> night"})}
    rules = {
        "override": Override(role="devops", second="tech-lead"),
        "escalation": Escalation(to=("on-call", "Databricks Support")),
    }
    return plan.model_copy(update={**rules, "roles": roles})


@pytest.fixture
def world(migrated_sqlite_url: str) -> Iterator[World]:
    made = World(migrated_sqlite_url, plan=ruled())
    yield made
    made.close()


def takes(reply: Reply) -> str:
    """What Slack would be sent, checked against its limits."""
    body = message(reply)
    assert check_blocks(body["blocks"], "message") == []
    assert not too_large(body["blocks"])
    assert len(body["text"]) <= 4000
    for mention in ("<!channel>", "<!here>"):
        assert mention not in str(body)
    return str(body)


def posted(world: World) -> dict[str, str]:
    """Every message that waits, as it would be sent; by kind."""
    with world.database.read() as session:
        rows = session.execute(select(Outbox).order_by(Outbox.id)).scalars().all()
    found = {}
    for row in rows:
        reply = world.door.document(row.kind, row.rollout_id, row.stage_id, row.ids)
        if reply is not None:
            found[row.kind] = takes(reply)
    return found


def test_a_change_of_two_thousand_lines_is_shown_in_pages(world: World) -> None:
    items = [
        Item(key=f"more-{n}", title=f"<!channel> {n}", done_when=NASTY[:400], source="X", phase="More", stage="dev")
        for n in range(2000)
    ]
    plan = world.plan.model_copy(update={"checklist": (*world.plan.checklist, *items)})
    done = amending.propose(world.database, world.who("devops"), world.now, world.rollout_id, plan)
    assert isinstance(done, amending.Proposed)
    assert "2,000 differences" in posted(world)["amendment_proposed"]
    at = {"amendment": done.amendment}
    for page in (0, 30, 66, 10_000):
        takes(world.press("qa", "amendment", {**at, "page": page}))
    takes(world.say("qa", "plan"))
    accepted = world.press("tech-lead", "accept-plan", {**at, "confirm": done.digest})
    assert accepted.refused is None
    takes(accepted)
    assert "accepted" in posted(world)["plan_amended"]


def test_override_and_escalation_mention_nobody_by_what_was_typed(world: World) -> None:
    key = next(c.key for c in world.plan.stage("dev").criteria if c.check)
    with world.database.write() as session:
        stage = session.get_one(Stage, world.stage("dev").id)
        found = Evidence(
            stage_id=stage.id, generation=1, criterion=key, verdict=Verdict.FAIL, sentence=NASTY, at=world.now
        )
        session.add(found)
    world.started("dev", S.REVIEW, by="on-call")
    with world.database.write() as session:
        stage = session.get_one(Stage, world.stage("dev").id)
        number = escalating.begin(session, stage, "verdict", f"a check fails: {NASTY}", "k", world.now)
    world.now = world.now.replace(hour=23)
    assert escalating.tick(world.database, world.now) == 1
    takes(world.say("developer", "approve dev"))
    takes(world.say("devops", "override dev"))
    form = world.say("devops", f"override dev {key} {NASTY}").form
    assert form is not None
    asked = world.submit("devops", form, reason=NASTY)
    assert asked.refused is None
    said = posted(world)
    assert {"override_wanted", "escalated"} <= said.keys()
    with world.database.read() as session:
        row = session.execute(select(Outbox).where(Outbox.kind == "override_wanted")).scalar_one()
    assert isinstance(
        overriding.confirm(world.database, world.who("tech-lead"), world.now, world.rollout_id, row.ids["override"]),
        overriding.Decided,
    )
    assert PEOPLE["tech-lead"] in posted(world)["override_confirmed"]
    takes(world.door.card(world.stage("dev").id))
    takes(world.say("qa", "report"))
    takes(world.say("qa", "status dev"))
    takes(world.door.closing("override_wanted", row.stage_id, row.rollout_id, row.ids))
    takes(world.door.closing("escalated", row.stage_id, row.rollout_id, {"escalation": number}))
