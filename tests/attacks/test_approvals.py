"""Every way by which somebody could get an approval that is none: each is played against the running bot, and refused.

The bot runs with its real door behind signed HTTP, before the local Slack.
"""

import json
import threading
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import delete, func, select

from bot import serve
from bot.build import Bot, build_app
from rollout.plan import Override
from rollout.states import StageState, Verdict
from sandbox.slack.limits import Limits
from sandbox.slack.server import Slack, running
from storage import amending, chain, overriding
from storage.database import Database
from storage.models import Event, Evidence, Inbox, Outbox, Rollout, SignOff, Stage
from storage.plans import plan_of
from storage.sealing import Sealer
from tests.bot.harness import FakeDoor, settings_for, soon, started
from tests.bot.test_http import a_command, send
from tests.commands.world import PEOPLE, World
from tests.ports import free_port

S = StageState
TEAM, PARTNER_TEAM, APP = "T0SANDBOX1", "T0PARTNER1", "A0ROLLOUT1"
SUPPORT, PARTNER = "C0SUPPORT1", "C0PARTNER1"
OUTSIDER, GUEST, GONE = "U0SAND0008", "U0SAND0009", "U0SAND0010"


@dataclass
class Stand:
    """The local Slack, the bot, and what the bot has stored."""

    slack: Slack
    bot: Bot
    world: World

    def review(self, stage: str = "canary", by: str = "devops") -> None:
        """The stage in review, in a generation of its own, as if nobody had said anything."""
        row = self.world.stage(stage)
        self.world.set_stage(stage, generation=row.generation + 1)
        self.world.started(stage, S.REVIEW, by=by)

    def sign_offs(self, stage: str = "canary") -> list[SignOff]:
        row = self.world.stage(stage)
        where = (SignOff.stage_id == row.id, SignOff.generation == row.generation)
        with self.world.database.read() as session:
            return list(session.execute(select(SignOff).where(*where).order_by(SignOff.id)).scalars())

    def events(self, outcome: str) -> list[Event]:
        with self.world.database.read() as session:
            return list(session.execute(select(Event).where(Event.outcome == outcome).order_by(Event.id)).scalars())

    def refused(self, before: int) -> Event:
        """The refusal that was recorded after so many of them."""
        found: Event = soon(lambda: self.events("refused")[before:], 15.0)[0]
        return found

    def wire(self, body: str, **headers: str) -> int:
        return send(self.bot, body, self.slack.signing_secret, **headers)[0]

    def said(self, user: str, text: str, **more: str) -> str:
        return a_command(user_id=user, text=text, **more)

    def interaction(self, kind: str, user: str, team: str = TEAM, **more: Any) -> str:
        """A button or a form, as Slack posts it."""
        body = {
            "type": kind,
            "team": {"id": TEAM},
            "user": {"id": user, "team_id": team},
            "api_app_id": APP,
            "trigger_id": f"4.5.{time.time_ns()}",
            **more,
        }
        return urllib.parse.urlencode({"payload": json.dumps(body)})

    def pressed(self, user: str, verb: str, arguments: dict[str, Any], team: str = TEAM, **more: Any) -> str:
        value = json.dumps({"v": verb, "a": {"rollout": self.world.rollout_id, **arguments}})
        action = {"type": "button", "action_id": "press:0", "block_id": "b", "value": value}
        channel = more.pop("channel", SUPPORT)
        about = {"channel": {"id": channel}, "container": {"type": "message", "channel_id": channel}}
        return self.interaction("block_actions", user, team, actions=[action], **about, **more)

    def submitted(self, user: str, verb: str, arguments: dict[str, Any], team: str = TEAM, **more: Any) -> str:
        hidden = {"v": verb, "a": {"rollout": self.world.rollout_id, **arguments}, "c": SUPPORT, "h": False}
        view = {
            "id": f"V{time.time_ns()}",
            "type": "modal",
            "callback_id": "form",
            "app_installed_team_id": TEAM,
            "title": {"type": "plain_text", "text": "Approve"},
            "private_metadata": json.dumps(hidden),
            "state": {"values": {}},
            "blocks": [],
        }
        return self.interaction("view_submission", user, team, view=view, **more)

    def is_refused(self, body: str, code: str, stage: str = "canary") -> Event:
        """The body is taken, refused with that reason code, and leaves no sign-off."""
        signed, before = len(self.sign_offs(stage)), len(self.events("refused"))
        assert self.wire(body) == 200
        found = self.refused(before)
        assert found.reason_code == code, (found.kind, found.sentence)
        assert len(self.sign_offs(stage)) == signed
        return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    port = free_port()
    world = World(f"sqlite:///{tmp_path_factory.mktemp('attacked') / 'rollout.db'}")
    limits = Limits(tiers={2: 10_000, 3: 10_000, 4: 10_000}, ack_seconds=60.0, trigger_seconds=60.0)
    url = f"http://127.0.0.1:{port}/slack/events"
    with running(tmp_path_factory.mktemp("slack"), mode="http", bot_url=url, limits=limits) as slack:
        bot = build_app(settings_for(slack, mode="http", port=port), world.database, world.door)
        with started(bot):
            yield Stand(slack, bot, world)
    world.close()


@pytest.fixture
def stand(made: Stand) -> Stand:
    """With the canary in review, started by devops."""
    made.review()
    return made


def test_01_who_sees_a_button_may_still_not_press_it(stand: Stand) -> None:
    nobody, at = PEOPLE["on-call"], {"stage": "canary"}
    for body in (
        stand.said(nobody, "approve canary"),
        stand.pressed(nobody, "approve", at),
        stand.submitted(nobody, "approve", {**at, "role": "qa"}),
        stand.submitted(nobody, "approve", {**at, "role": "on-call"}),
    ):
        stand.is_refused(body, "not_a_role_holder")
    # Somebody who signs, but not in that role.
    stand.is_refused(stand.submitted(PEOPLE["qa"], "approve", {**at, "role": "tech-lead"}), "not_a_role_holder")


def test_02_a_role_without_people_lets_nobody_through(stand: Stand) -> None:
    world = stand.world
    world.set_stage("dev", state=S.READY)
    world.tick_all()
    world.forget_people("developer")
    try:
        refused = world.say("devops", "start dev")
        assert refused.refused == "roles_unfilled"
    finally:
        world.alter(SignOff.__table__.metadata.tables["known_person"], available=True)


def test_03_other_companies_and_shared_channels_decide_nothing(stand: Stand) -> None:
    at = {"stage": "canary"}
    stand.is_refused(stand.said(OUTSIDER, "approve canary", channel_id=PARTNER), "other_team")
    stand.is_refused(stand.pressed(OUTSIDER, "approve", at, PARTNER_TEAM, channel=PARTNER), "other_team")
    stand.is_refused(stand.submitted(OUTSIDER, "approve", at, PARTNER_TEAM), "other_team")
    stand.is_refused(stand.submitted(OUTSIDER, "approve", at), "other_team")  # saying to be one of ours
    stand.is_refused(stand.said(PEOPLE["qa"], "approve canary", channel_id=PARTNER), "shared_channel")
    stand.is_refused(stand.pressed(PEOPLE["qa"], "approve", at, channel=PARTNER), "shared_channel")


def test_04_a_name_proves_nothing(stand: Stand) -> None:
    nobody = PEOPLE["on-call"]
    stand.is_refused(stand.said(nobody, "approve canary", user_name="qa"), "not_a_role_holder")
    stand.is_refused(stand.said(nobody, f"approve canary <@{PEOPLE['qa']}|qa>"), "not_a_role_holder")
    # The id of one who signs, from another team: people are (team id, user id).
    stand.is_refused(stand.pressed(PEOPLE["qa"], "approve", {"stage": "canary"}, PARTNER_TEAM), "other_team")


def test_05_nobody_signs_what_they_started_and_nobody_counts_twice(stand: Stand) -> None:
    stand.review(by="qa")
    stand.is_refused(stand.submitted(PEOPLE["qa"], "approve", {"stage": "canary", "role": "qa"}), "started_by_you")
    stand.review()
    assert stand.wire(stand.submitted(PEOPLE["tech-lead"], "approve", {"stage": "canary"})) == 200
    soon(lambda: len(stand.sign_offs()) == 1)
    for role in ("qa", "tech-lead"):
        body = stand.submitted(PEOPLE["tech-lead"], "approve", {"stage": "canary", "role": role})
        stand.is_refused(body, "already_signed")


def test_06_a_button_of_yesterday_does_nothing_today(stand: Stand) -> None:
    drawn = stand.world.stage("canary")
    at = {"stage": "canary", "version": drawn.version, "generation": drawn.generation}
    stand.review()
    stand.is_refused(stand.pressed(PEOPLE["qa"], "approve", at), "stale_view")
    stand.is_refused(stand.submitted(PEOPLE["qa"], "approve", at), "stale_view")


def test_07_what_is_delivered_twice_counts_once(stand: Stand) -> None:
    once = stand.submitted(PEOPLE["qa"], "approve", {"stage": "canary"})
    threads = [threading.Thread(target=stand.wire, args=(once,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    soon(lambda: len(stand.sign_offs()) == 1)
    assert stand.wire(once, **{"X-Slack-Retry-Num": "1"}) == 200
    assert (
        len(
            [
                e
                for e in stand.events("done")
                if e.kind == "approve" and e.generation == stand.world.stage("canary").generation
            ]
        )
        == 1
    )
    old = str(int(time.time()) - 600)
    assert stand.wire(stand.said(PEOPLE["tech-lead"], "approve canary"), stamp=old) == 401  # a recorded request
    assert len(stand.sign_offs()) == 1


def test_08_membership_is_that_of_the_moment_and_is_written_down(stand: Stand) -> None:
    assert stand.wire(stand.submitted(PEOPLE["qa"], "approve", {"stage": "canary", "comment": "x"})) == 200
    soon(lambda: len(stand.sign_offs()) == 1)
    approved = [e for e in stand.events("done") if e.kind == "approve"][-1]
    assert approved.data["groups"] == []
    assert approved.team_id == TEAM


@pytest.mark.parametrize(
    ("user", "code"),
    [
        (GUEST, "guest_account"),
        (GONE, "deactivated_account"),
        ("U0ROLLBOT1", "bot_account"),
        ("U0NOBODY99", "identity_unknown"),
    ],
)
def test_09_accounts_that_may_not_act(stand: Stand, user: str, code: str) -> None:
    stand.is_refused(stand.said(user, "approve canary"), code)
    stand.is_refused(stand.submitted(user, "approve", {"stage": "canary", "role": "qa"}), code)


def test_10_a_message_that_says_approved_approves_nothing(stand: Stand) -> None:
    stand.slack.command("on-call", "canary has passed :white_check_mark:", SUPPORT)
    refused = stand.world.say("devops", "start full")
    assert refused.refused == "predecessor_not_passed"
    assert stand.sign_offs() == []
    assert stand.world.stage("canary").state is S.REVIEW


def test_11_without_the_signing_secret_nothing_is_taken(stand: Stand) -> None:
    body = stand.submitted(PEOPLE["qa"], "approve", {"stage": "canary"})
    with stand.world.database.read() as session:
        before = session.execute(select(func.count()).select_from(Inbox)).scalar_one()
    assert send(stand.bot, body, "another-secret")[0] == 401
    with stand.world.database.read() as session:
        assert session.execute(select(func.count()).select_from(Inbox)).scalar_one() == before
    assert stand.sign_offs() == []


def test_12_the_same_app_elsewhere_is_not_served(stand: Stand) -> None:
    for wrong in ({"team_id": PARTNER_TEAM}, {"api_app_id": "A0ANOTHER1"}, {"team_id": ""}):
        assert stand.wire(stand.said(PEOPLE["qa"], "approve canary", **wrong)) == 403
    body = urllib.parse.parse_qs(stand.submitted(PEOPLE["qa"], "approve", {"stage": "canary"}))["payload"][0]
    elsewhere = json.loads(body)
    elsewhere["view"]["app_installed_team_id"] = PARTNER_TEAM
    assert stand.wire(urllib.parse.urlencode({"payload": json.dumps(elsewhere)})) == 403
    assert stand.sign_offs() == []


def test_13_a_reason_calls_nobody(stand: Stand) -> None:
    reason = "<!channel> <!here|x> <@U0SAND0002> & <https://evil.example|click> <#C0GENERAL1>"
    assert stand.wire(stand.submitted(PEOPLE["qa"], "reject", {"stage": "canary", "reason": reason})) == 200
    soon(lambda: len(stand.sign_offs()) == 1)

    def told() -> Any:
        found = stand.slack.get("messages", **{"as": "qa", "channel": SUPPORT})["messages"]
        return [m for m in found if "is rejected" in str(m["blocks"]) and "evil.example" in str(m["blocks"])]

    message = soon(told, 20.0)[-1]
    shown = str(message["blocks"]) + message["text"]
    for live in ("<!", "<@U0SAND0002>", "<https://evil", "<#C"):
        assert live not in shown, live


def test_14_no_handle_stays_behind(stand: Stand, capfd: pytest.CaptureFixture[str]) -> None:
    handle = f"https://hooks.example/response/{time.time_ns()}"
    body = stand.said(PEOPLE["on-call"], "approve canary", response_url=handle, trigger_id=f"77.88.{time.time_ns()}")
    stand.is_refused(body, "not_a_role_holder")

    def forgotten() -> bool:
        with stand.world.database.read() as session:
            rows = session.execute(select(Inbox).where(Inbox.state != "done")).scalars().all()
            kept = [i for i in session.execute(select(Inbox.payload)).scalars() if i]
        return not rows and not kept

    soon(forgotten, 15.0)
    said = capfd.readouterr()
    assert handle not in said.out + said.err
    with stand.world.database.read() as session:
        assert handle not in str(session.execute(select(Event.data)).scalars().all())
        assert handle not in str(session.execute(select(Outbox.ids)).scalars().all())


def test_15_the_record_is_ours_and_shows_what_was_taken_out_of_it(stand: Stand) -> None:
    assert stand.wire(stand.submitted(PEOPLE["qa"], "approve", {"stage": "canary"})) == 200
    soon(lambda: len(stand.sign_offs()) == 1)
    while Sealer(stand.world.database, "test").tick():
        pass
    assert chain.verify(stand.world.database, stand.world.rollout_id).intact
    event = [e for e in stand.events("done") if e.kind == "approve"][-1]
    assert (event.actor, event.team_id, event.surface) == (PEOPLE["qa"], TEAM, "modal")
    assert event.data["evidence_digest"] == stand.world.stage("canary").evidence_digest
    with stand.world.database.write() as session:
        kept = {c.name: getattr(event, c.name) for c in Event.__table__.columns}
        session.delete(session.get_one(Event, event.id))
    assert chain.verify(stand.world.database, stand.world.rollout_id).broken_at == event.number
    with stand.world.database.write() as session:
        session.add(Event(**kept))


def test_16_in_an_incident_more_people_may_roll_back_and_identity_is_asked_all_the_same(stand: Stand) -> None:
    stand.is_refused(stand.said(OUTSIDER, "rollback canary"), "other_team")
    stand.is_refused(stand.submitted(GUEST, "rollback", {"stage": "canary"}), "guest_account")
    stand.is_refused(stand.submitted("U0SAND0006", "rollback", {"stage": "canary"}), "not_permitted")
    form = stand.world.say("on-call", "rollback canary").form
    assert form is not None
    done = stand.world.submit("on-call", form, reason="errors are up")
    assert done.refused is None
    assert stand.world.stage("canary").state is S.ROLLING_BACK
    stand.world.set_stage("canary", state=S.REVIEW)


def test_a_second_consumer_of_our_token_is_said(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, migrated_sqlite_url: str
) -> None:
    said: list[int] = []
    monkeypatch.setattr(serve.log, "warning", lambda event, **more: said.append(more["connections"]))
    with running(tmp_path) as slack:
        database = Database(migrated_sqlite_url)
        with started(build_app(settings_for(slack), database, FakeDoor())):
            soon(lambda: slack.get("state", **{"as": "qa"})["bot"]["connected"])
            assert said == []
            with started(build_app(settings_for(slack), database, FakeDoor())):
                soon(lambda: said == [2], 15.0)
        database.close()


def test_an_override_is_not_confirmed_by_who_asked_by_another_role_of_the_same_person_or_by_a_stranger(
    stand: Stand,
) -> None:
    world = stand.world
    plan = world.plan.model_copy(update={"override": Override(role="devops", second="tech-lead")})
    roles = dict(plan.roles)
    # The same person under another name of a role.
    both = (*roles["tech-lead"].members, PEOPLE["devops-2"])
    roles["tech-lead"] = roles["tech-lead"].model_copy(update={"members": both})
    former = world.plan
    world.adopt(plan.model_copy(update={"roles": roles}))
    try:
        key = next(c.key for c in plan.stage("canary").criteria if c.check)
        with world.database.write() as session:
            stage = session.get_one(Stage, world.stage("canary").id)
            session.add(
                Evidence(
                    stage_id=stage.id,
                    generation=stage.generation,
                    criterion=key,
                    verdict=Verdict.FAIL,
                    reason_code="cluster_error",
                    sentence="2 went down",
                    at=world.now,
                )
            )
        world.freeze("canary")
        stand.is_refused(stand.submitted(PEOPLE["qa"], "approve", {"stage": "canary"}), "criteria_unmet")
        named = {"stage": "canary", "condition": f"criterion:{key}", "reason": "a flake", "submitted": True}
        stand.is_refused(stand.submitted(PEOPLE["qa"], "override", named), "not_permitted")
        stand.is_refused(stand.submitted(OUTSIDER, "override", named), "other_team")
        stand.is_refused(stand.submitted(PEOPLE["devops"], "override", named), "started_by_you")
        sign_off = {**named, "condition": "sign-off:qa"}
        stand.is_refused(stand.submitted(PEOPLE["devops-2"], "override", sign_off), "not_overridable")
        asked = overriding.ask(
            world.database, world.who("devops-2"), world.now, world.rollout_id, "canary", f"criterion:{key}", "a flake"
        )
        assert isinstance(asked, overriding.Asked)
        at = {"override": asked.override}
        stand.is_refused(stand.pressed(PEOPLE["devops-2"], "confirm-override", at), "asked_by_you")
        stand.is_refused(stand.pressed(PEOPLE["qa"], "confirm-override", at), "not_permitted")
        stand.is_refused(stand.pressed(GUEST, "confirm-override", at), "guest_account")
        stand.is_refused(stand.pressed(PEOPLE["tech-lead"], "confirm-override", at, channel=PARTNER), "shared_channel")
        # The evidence changed since the button was drawn.
        world.alter(Evidence, sentence="3 went down", verdict=Verdict.INCONCLUSIVE)
        world.freeze("canary")
        stand.is_refused(stand.pressed(PEOPLE["tech-lead"], "confirm-override", at), "override_over")
    finally:
        world.adopt(former)
        with world.database.write() as session:
            session.execute(delete(Evidence))


def test_a_plan_is_not_changed_by_one_person_or_by_an_old_button(stand: Stand) -> None:
    world = stand.world
    former = world.plan
    plans = [former.model_copy(update={"title": title}) for title in ("First", "Second")]
    asked = [amending.propose(world.database, world.who("devops"), world.now, world.rollout_id, plan) for plan in plans]
    first, second = [{"amendment": a.amendment, "confirm": a.digest} for a in asked if isinstance(a, amending.Proposed)]
    stand.is_refused(stand.pressed(PEOPLE["tech-lead"], "accept-plan", first), "amendment_over")
    stand.is_refused(stand.pressed(PEOPLE["devops"], "accept-plan", second), "proposed_by_you")
    stand.is_refused(stand.pressed(PEOPLE["qa"], "accept-plan", second), "not_permitted")
    stand.is_refused(stand.pressed(OUTSIDER, "accept-plan", second), "other_team")
    mixed = {**second, "confirm": first["confirm"]}
    stand.is_refused(stand.pressed(PEOPLE["tech-lead"], "accept-plan", mixed), "amendment_over")
    assert stand.wire(stand.pressed(PEOPLE["tech-lead"], "accept-plan", second)) == 200
    soon(lambda: [e for e in stand.events("done") if e.kind == "plan_amended"] != [])
    with world.database.read() as session:
        assert plan_of(session.get_one(Rollout, world.rollout_id)).title == "Second"
    world.adopt(former)
