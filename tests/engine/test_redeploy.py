"""A redeploy in the middle of a stage: an older process beside a schema with one more state and one more column."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, inspect, select, text
from structlog.testing import capture_logs

from rollout.gates import Refuse
from rollout.states import ActionKind, ActionState, StageState
from storage import facts, intents
from storage.database import Database
from storage.migrate import config, migrate, pending
from storage.models import Action, Backup, Rollout, Stage
from tests.engine.harness import OPS, World, world
from tests.engine.test_faults import FLEET, UPDATE, updates

#: A migration as the next version might bring it: only ever adding, since a rollout may be running.
NEWER = """
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = {head!r}
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, check, state, column in (
        ("stage", "stagestate", "draining", sa.Column("drained_at", sa.DateTime(timezone=True))),
        ("action", "actionstate", "parked", sa.Column("weight", sa.Integer(), nullable=False, server_default="1")),
    ):
        known = {{"stage": {stages!r}, "action": {actions!r}}}[name]
        with op.batch_alter_table(name) as table:
            table.add_column(column)
            table.drop_constraint(op.f(f"ck_{{name}}_{{check}}"), type_="check")
            words = ", ".join(f"'{{word}}'" for word in [*known, state])
            table.create_check_constraint(op.f(f"ck_{{name}}_{{check}}"), f"state IN ({{words}})")
"""
#: Not a pass that met the locks of the migration: the next one reads everything anew.
UNEXPECTED = {"pass_failed_unexpectedly", "stage_not_moved", "work_failed", "action_failed_unexpectedly"}


@pytest.fixture
def midway(migrated_url: str, tmp_path: Path) -> Iterator[World]:
    """A stage of which two targets are changed, and the engine at work."""
    with world(migrated_url, tmp_path, FLEET) as made:
        made.engine(parallel=2)
        made.looked()
        made.databricks.faults.add(UPDATE, "slow", seconds=0.3)
        made.start("first")
        made.wait(lambda: len(updates(made)) >= 2, "two writes")
        yield made


def newer(made: World, home: Path) -> None:
    """What ``migrate`` of the next version does to the database, while the old process works."""
    from alembic.script import ScriptDirectory

    head = ScriptDirectory.from_config(config()).get_current_head()
    stages, actions = [s.value for s in StageState], [s.value for s in ActionState]
    directory = home / "newer"
    directory.mkdir()
    (directory / "9999_one_more.py").write_text(NEWER.format(head=head, stages=stages, actions=actions))

    def configured(connection: Connection | None = None) -> Any:
        found = config(connection)
        found.set_main_option("path_separator", "os")
        ours = Path(str(found.get_main_option("script_location"))) / "versions"
        found.set_main_option("version_locations", f"{ours}:{directory}")
        return found

    other = Database(made.database.url.render_as_string(hide_password=False))
    try:
        migrate(other, using=configured)
    finally:
        other.close()


def say(made: World, statement: str, **values: Any) -> int:
    """What the newer process writes, in words that the older one does not know."""
    with made.database.engine.begin() as connection:
        return connection.execute(text(statement), values).rowcount


def park(made: World) -> int:
    """The newer process parks a change that nobody has begun, and drains the other stage; its target is returned."""
    with made.database.read() as session:
        parked, target = session.execute(
            select(Action.id, Action.target_id)
            .where(Action.kind == ActionKind.CHANGE, Action.state == ActionState.PENDING)
            .order_by(Action.id.desc())
        ).all()[0]
    assert say(made, "UPDATE action SET state = 'parked' WHERE id = :id AND state = 'pending'", id=parked) == 1
    assert say(made, "UPDATE stage SET state = 'draining' WHERE key = 'second'") == 1
    return int(target)


def others_have_ended(made: World, kind: ActionKind, parked: int) -> None:
    def ended() -> bool:
        found = [a for a in made.actions("first") if a.kind is kind and a.target_id != parked]
        return len(found) >= 1 and all(a.state in (ActionState.DONE, ActionState.SKIPPED) for a in found)

    made.wait(ended, f"every other {kind} to end", step=30)
    for _ in range(3):  # and the engine goes round some more
        made.engines[0].pass_once()


def states(made: World) -> tuple[str, str]:
    return str(made.state("first")), str(made.state("second"))


def test_an_older_process_goes_on_beside_a_newer_schema_and_leaves_alone_what_it_does_not_know(
    midway: World, tmp_path: Path
) -> None:
    with capture_logs() as logs:
        newer(midway, tmp_path)
        parked = park(midway)
        others_have_ended(midway, ActionKind.CHANGE, parked)
        assert states(midway) == ("upgrading", "draining"), "what is parked is not done"
        with midway.database.read() as session:
            standing = facts.standing(session, session.execute(select(Rollout)).scalar_one())
        work = standing.stage("first").work[ActionKind.CHANGE]
        assert (work.total, work.ended, work.running) == (6, 5, 1)
        refused = intents.retry(midway.database, OPS, midway.calendar(), midway.rollout_id(), "second")
        assert isinstance(refused, Refuse)
        assert not isinstance(
            intents.pause(midway.database, OPS, midway.calendar(), midway.rollout_id(), "hold"), Refuse
        )
        assert not isinstance(intents.resume(midway.database, OPS, midway.calendar(), midway.rollout_id()), Refuse)
        midway.stop()
        # The newer process goes on with what it knows.
        say(midway, "UPDATE action SET state = 'pending' WHERE state = 'parked'")
        say(midway, "UPDATE stage SET state = 'waiting' WHERE state = 'draining'")
        midway.engine("engine-2")
        midway.until("first", StageState.REVIEW)
    assert updates(midway) == {t.object_id: 1 for t in midway.targets("first")}
    with midway.database.read() as session:
        assert len(session.execute(select(Backup.id)).all()) == 6
    assert [entry for entry in logs if entry["event"] in UNEXPECTED] == []


def test_an_older_process_does_not_call_a_stage_rolled_back_while_a_newer_one_has_something_open(
    midway: World, tmp_path: Path
) -> None:
    newer(midway, tmp_path)
    parked = park(midway)
    midway.roll_back("first")
    others_have_ended(midway, ActionKind.REVERT, parked)
    assert states(midway) == ("rolling_back", "draining")
    say(midway, "UPDATE action SET state = 'skipped' WHERE state = 'parked'")
    midway.until("first", StageState.ROLLED_BACK)
    assert {midway.raw("dev", "cluster", f"c{n}")["spark_version"] for n in range(6)} == {"13.3.x-scala2.12"}


def test_a_schema_that_is_newer_than_the_code_is_no_reason_not_to_start_and_is_left_as_it_is(
    midway: World, tmp_path: Path
) -> None:
    def constraints() -> Any:
        found = inspect(midway.database.engine)
        return {
            name: (
                sorted((c["name"], c["sqltext"]) for c in found.get_check_constraints(name)),
                sorted((i["name"], *map(str, i["dialect_options"].values())) for i in found.get_indexes(name)),
                sorted(str(k["referred_table"]) for k in found.get_foreign_keys(name)),
            )
            for name in ("stage", "action", "backup")
        }

    before = constraints()
    newer(midway, tmp_path)
    assert not pending(midway.database)
    migrate(midway.database)
    with midway.database.engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "9999"
        assert connection.execute(text("SELECT count(*), min(weight) FROM action")).one()[1] == 1
    after = constraints()
    for name, (checks, indexes, keys) in before.items():
        assert after[name][1:] == (indexes, keys)
        assert {c[0] for c in after[name][0]} == {c[0] for c in checks}
    with midway.database.read() as session:
        assert len(session.execute(select(Stage)).scalars().all()) == 2
