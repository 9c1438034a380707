"""A rollout of the sandbox's plan, built straight in the database: what the tests of commands and intents stand on."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select, update

from commands.door import Door
from commands.grammar import parse
from commands.reply import Actor, DayInput, Form, Input, Moment, PersonInput, Reply, Request, Surface, TextInput
from rollout.plan import Plan
from rollout.planfile import canonical, digest
from rollout.planfile import parse as parse_plan
from rollout.states import ActionKind, ActionState, Decision, ItemState, StageState
from storage import evidence, signatures
from storage.acting import Who
from storage.backups import CONFIGURATION, Place
from storage.database import Database
from storage.keyring import Keyring
from storage.migrate import migrate
from storage.models import (
    Action,
    Backup,
    Event,
    GroupMember,
    Item,
    KnownPerson,
    Outbox,
    PlanRevision,
    Rollout,
    SignOff,
    Stage,
    Target,
    Workspace,
)
from storage.record import ENGINE, event
from storage.secrets import Vault

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
TEAM = "T0SANDBOX1"
KEY = "qC1Yx0d4ZrY3bG0cQm9tq0o8c0k5mQe1l3JcC2m1m1s="
PEOPLE = {
    "developer": "U0SAND0001",
    "tech-lead": "U0SAND0002",
    "qa": "U0SAND0003",
    "devops": "U0SAND0004",
    "devops-2": "U0SAND0005",
    "product-owner": "U0SAND0006",
    "on-call": "U0SAND0007",
    "nobody": "U0SAND0099",
}


CHECKS = frozenset({"targets_on_target_runtime", "targets_settled", "runs_compared"})


@cache
def sandbox_plan() -> Plan:
    def resolve(name: str) -> tuple[str, str] | None:
        path = ROOT / "plans" / f"{name}.yml"
        return (path.name, path.read_text()) if path.exists() else None

    return parse_plan((ROOT / "sandbox" / "plan.yml").read_text(), "plan.yml", resolve, CHECKS)


def change(restarts: bool = False) -> dict[str, Any]:
    field = {"path": ["spark_version"], "before": "13.3.x-scala2.12", "after": "17.3.x-scala2.13"}
    return {"fields": [field], "restarts": restarts, "notes": []}


def _initial(question: Input) -> object:
    """What a field of a form holds when nobody touched it."""
    if isinstance(question, TextInput | Moment | DayInput | PersonInput):
        return question.initial
    return list(question.initial) if question.many else next(iter(question.initial), "")


class World:
    """One rollout with targets, a calendar that the test moves, and the door."""

    def __init__(self, url: str, targets: int = 3, plan: Plan | None = None) -> None:
        self.database = Database(url, keyring=Keyring([KEY]))
        migrate(self.database)
        self.plan = plan or sandbox_plan()
        self.now = NOW
        self.door = Door(self.database, lambda: self.now)
        self.rollout_id = self._open(targets)

    def _open(self, targets: int) -> int:
        with self.database.write() as session:
            text = canonical(self.plan)
            revision = PlanRevision(
                plan_key=self.plan.key, revision=1, digest=digest(self.plan), text=text, created_at=NOW
            )
            session.add(revision)
            session.flush()
            rollout = Rollout(plan_key=self.plan.key, revision_id=revision.id, channel=self.plan.channel, opened_at=NOW)
            session.add(rollout)
            session.flush()
            event(session, NOW, ENGINE, "rollout_opened", "", rollout_id=rollout.id)
            for position, stage in enumerate(self.plan.stages):
                state = StageState.WAITING if position else StageState.READY
                session.add(Stage(rollout_id=rollout.id, key=stage.key, position=position, state=state))
            for key in self.plan.workspaces:
                session.add(Workspace(key=key, host=f"https://{key}.example.net", versions=[], looked_at=NOW))
            for user in PEOPLE.values():
                session.add(KnownPerson(user_id=user, team_id=TEAM, available=True, checked_at=NOW))
            session.flush()
            if targets:
                session.execute(
                    insert(Target),
                    [
                        self._target(rollout.id, stage.key, stage.targets.workspaces[0], number)
                        for stage in self.plan.stages
                        for number in range(targets)
                    ],
                )
            return rollout.id

    @staticmethod
    def _target(rollout_id: int, stage: str, workspace: str, number: int) -> dict[str, Any]:
        kind = "job" if number % 2 else "cluster"
        return {
            "rollout_id": rollout_id,
            "workspace": workspace,
            "kind": kind,
            "object_id": f"{stage}-{number}" if kind == "cluster" else f"{sum(map(ord, stage))}{number:05}",
            "name": f"{stage} {'nightly' if kind == 'job' else 'etl'} {number}",
            "stage_key": stage,
            "release": "13.3",
            "state": "RUNNING" if kind == "cluster" else "SCHEDULED",
            "change": change(kind == "cluster"),
            "gone": False,
            "seen_at": NOW,
            "seen_machine": datetime.now(UTC),
        }

    # -- people ------------------------------------------------------------------------------------------------------

    def actor(self, person: str) -> Actor:
        return Actor(TEAM, PEOPLE[person], name=person)

    def who(self, person: str) -> Who:
        return Who(PEOPLE[person], TEAM)

    def say(self, person: str, text: str, channel: str | None = None, **flags: Any) -> Reply:
        verb, arguments = parse(text)
        return self.door.handle(
            Request(self.actor(person), verb, arguments, Surface.SLASH, channel or self.plan.channel, **flags)
        )

    def press(self, person: str, verb: str, arguments: Mapping[str, Any]) -> Reply:
        return self.door.handle(Request(self.actor(person), verb, arguments, Surface.BUTTON, self.plan.channel))

    def submit(self, person: str, form: Form | None, **values: Any) -> Reply:
        assert form is not None
        shown = {i.key: _initial(i) for i in form.inputs}
        arguments = {**form.arguments, **shown, **values, "submitted": True}
        return self.door.handle(Request(self.actor(person), form.verb, arguments, Surface.MODAL, self.plan.channel))

    def confirm(self, person: str, text: str, **values: Any) -> Reply:
        """Say it, and submit the form that opens."""
        return self.submit(person, self.say(person, text).form, **values)

    # -- the world as tests need it ----------------------------------------------------------------------------------

    def stage(self, key: str) -> Stage:
        with self.database.read() as session:
            return session.execute(
                select(Stage).where(Stage.rollout_id == self.rollout_id, Stage.key == key)
            ).scalar_one()

    def set_stage(self, key: str, **values: Any) -> None:
        with self.database.write() as session:
            session.execute(
                update(Stage)
                .where(Stage.rollout_id == self.rollout_id, Stage.key == key)
                .values(version=Stage.version + 1, **values)
            )

    def carry_out(self, key: str, kind: ActionKind, state: ActionState = ActionState.DONE, bad: int = 0) -> None:
        """As the engine would: an action of that kind for each target of the stage; the first ``bad`` ones failed."""
        with self.database.write() as session:
            stage = session.execute(
                select(Stage).where(Stage.rollout_id == self.rollout_id, Stage.key == key)
            ).scalar_one()
            targets = session.execute(
                select(Target).where(
                    Target.rollout_id == self.rollout_id, Target.stage_key == key, Target.pinned_reason.is_(None)
                )
            ).scalars()
            present = {
                a.target_id: a
                for a in session.execute(
                    select(Action).where(
                        Action.stage_id == stage.id, Action.generation == stage.generation, Action.kind == kind
                    )
                ).scalars()
            }
            for number, target in enumerate(targets):
                action = present.get(target.id) or Action(
                    rollout_id=self.rollout_id,
                    stage_id=stage.id,
                    generation=stage.generation,
                    target_id=target.id,
                    workspace=target.workspace,
                    kind=kind,
                    team=target.team if kind is ActionKind.BACKUP else None,
                    change=change(),
                    created_at=self.now,
                )
                failed = number < bad
                action.state = ActionState.FAILED if failed else state
                if failed:
                    action.reason_code, action.sentence = "write_refused", "The workspace refused the change."
                if action.state is not ActionState.PENDING:
                    action.started_at = self.now
                if kind is ActionKind.BACKUP and action.state is ActionState.DONE and target.id not in present:
                    session.add(self._backup(target, stage))
                if action.state not in {ActionState.PENDING, ActionState.RUNNING}:
                    action.ended_at = self.now + timedelta(seconds=number + 1)
                session.add(action)

    def _backup(self, target: Target, stage: Stage) -> Backup:
        place = Place(target.workspace, target.kind, target.object_id, stage.id, stage.generation)
        ciphertext, digest = place.sealed(Vault([KEY]), {"name": target.name}, CONFIGURATION)
        of = {"target_id": target.id, "stage_id": stage.id, "generation": stage.generation}
        return Backup(**of, ciphertext=ciphertext, digest=digest, state="", created_at=self.now)

    def started(self, key: str, state: StageState, by: str = "devops", bad: int = 0) -> None:
        """The stage as the engine leaves it in that state, started by that person."""
        self.carry_out(key, ActionKind.BACKUP)
        if state is not StageState.PREPARING:
            self.carry_out(key, ActionKind.CHANGE, bad=bad)
        values: dict[str, Any] = {"state": state, "started_by": PEOPLE[by], "started_at": self.now}
        if state in {StageState.REVIEW, StageState.PASSED}:
            values["reviewed_at"] = self.now
        if state is StageState.BLOCKED:
            values |= {"left_state": StageState.UPGRADING, "block_code": "max_failures"}
            values |= {"block_sentence": "Too many changes failed."}
        if state is StageState.BAKING:
            values["bake_until"] = self.now + timedelta(hours=5)
        self.set_stage(key, change_set_digest="c" * 64, **values)
        if state in {StageState.REVIEW, StageState.PASSED}:
            self.freeze(key)

    def freeze(self, key: str) -> str:
        """Freeze the evidence of a stage as it is stored now, as the end of a bake does; returns its digest."""
        with self.database.write() as session:
            stage = session.get_one(Stage, self.stage(key).id)
            bundle = evidence.freeze(session, stage)
            stage.evidence_digest, stage.evidence_text = bundle.digest, bundle.text
            return bundle.digest

    def passed(self, *keys: str) -> None:
        """These stages have passed, with all their sign-offs, by people who did not start them."""
        by_role = {"devops": "devops-2"}
        for key in keys:
            self.started(key, StageState.PASSED)
            stage = self.stage(key)
            with self.database.write() as session:
                revision = session.get_one(Rollout, self.rollout_id).revision.digest
                for role in self.plan.stage(key).sign_offs:
                    row = SignOff(
                        stage_id=stage.id,
                        generation=stage.generation,
                        role=role,
                        team_id=TEAM,
                        user_id=PEOPLE[by_role.get(role, role)],
                        decision=Decision.GRANTED,
                        comment="",
                        evidence_digest=stage.evidence_digest,
                        at=self.now,
                    )
                    session.add(row)
                    session.flush()
                    signatures.sign(session, row, signatures.Place(self.rollout_id, key), revision)
            following = [s.key for s in self.plan.after(key)][:1]
            if following and self.stage(following[0]).state is StageState.WAITING:
                self.set_stage(following[0], state=StageState.READY)

    def tick_all(self) -> None:
        """Every checklist item is done, and the record says so."""
        with self.database.write() as session:
            for item in self.plan.checklist:
                session.add(
                    Item(
                        rollout_id=self.rollout_id,
                        key=item.key,
                        state=ItemState.DONE,
                        by=PEOPLE["devops"],
                        at=self.now,
                    )
                )
                said = {"item": item.key, "state": ItemState.DONE.value}
                event(session, self.now, self.who("devops").by, "checklist", "", rollout_id=self.rollout_id, data=said)

    def events(self, kind: str | None = None) -> list[Event]:
        """What was recorded since the rollout was opened."""
        with self.database.read() as session:
            found = select(Event).where(Event.kind != "rollout_opened").order_by(Event.id)
            return list(session.execute(found if kind is None else found.where(Event.kind == kind)).scalars())

    def outbox(self) -> list[str]:
        with self.database.read() as session:
            return list(session.execute(select(Outbox.kind).order_by(Outbox.id)).scalars())

    def actions(self, key: str, kind: ActionKind) -> list[Action]:
        with self.database.read() as session:
            stage = self.stage(key)
            return list(
                session.execute(
                    select(Action).where(Action.stage_id == stage.id, Action.kind == kind).order_by(Action.id)
                ).scalars()
            )

    def targets(self, key: str) -> list[Target]:
        with self.database.read() as session:
            return list(
                session.execute(
                    select(Target)
                    .where(Target.rollout_id == self.rollout_id, Target.stage_key == key)
                    .order_by(Target.id)
                ).scalars()
            )

    def alter(self, model: Any, **values: Any) -> None:
        """Set columns of all rows of a table."""
        with self.database.write() as session:
            session.execute(update(model).values(**values))

    def forget_people(self, *people: str) -> None:
        """Slack says that these people are not available."""
        with self.database.write() as session:
            session.execute(
                update(KnownPerson).where(KnownPerson.user_id.in_([PEOPLE[p] for p in people])).values(available=False)
            )

    def add_to_group(self, group: str, person: str) -> None:
        with self.database.write() as session:
            session.add(GroupMember(group_id=group, user_id=PEOPLE[person]))

    def adopt(self, plan: Plan) -> None:
        """The rollout follows another revision of its plan from now on."""
        with self.database.write() as session:
            rollout = session.get_one(Rollout, self.rollout_id)
            number = rollout.revision.revision + 1
            session.add(
                made := PlanRevision(
                    plan_key=plan.key, revision=number, digest=digest(plan), text=canonical(plan), created_at=self.now
                )
            )
            session.flush()
            rollout.revision_id = made.id

    def close(self) -> None:
        self.database.close()
