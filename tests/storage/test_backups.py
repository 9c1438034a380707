"""Backups are bound to their target, its stage and its generation: no other one is ever taken for them."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from rollout.states import ActionKind, ActionState
from storage import backups
from storage.backups import CONFIGURATION, PERMISSIONS, Altered, Place
from storage.models import Action, Backup, Stage, Target
from storage.secrets import KeyProblem, Vault
from tests.commands.world import KEY, World

PLACE = Place("dev", "job", "7", 3, 1)
RAW = {"job_id": 7, "settings": {"name": "nightly"}}
VAULT = Vault([KEY])


def test_a_backup_opens_in_its_own_place() -> None:
    ciphertext, digest = PLACE.sealed(VAULT, RAW, CONFIGURATION)
    assert PLACE.opened(VAULT, ciphertext, CONFIGURATION, digest) == RAW


@pytest.mark.parametrize(
    "other",
    [
        Place("prod", "job", "7", 3, 1),
        Place("dev", "cluster", "7", 3, 1),
        Place("dev", "job", "8", 3, 1),
        Place("dev", "job", "7", 4, 1),
        Place("dev", "job", "7", 3, 2),
    ],
)
def test_a_backup_of_another_place_is_refused(other: Place) -> None:
    ciphertext, digest = other.sealed(VAULT, RAW, CONFIGURATION)
    with pytest.raises(Altered, match="not the one that was made of this target"):
        PLACE.opened(VAULT, ciphertext, CONFIGURATION, digest)


def test_permissions_are_never_taken_for_a_configuration() -> None:
    ciphertext, digest = PLACE.sealed(VAULT, RAW, PERMISSIONS)
    with pytest.raises(Altered):
        PLACE.opened(VAULT, ciphertext, CONFIGURATION, digest)


def test_a_digest_that_is_not_of_the_text_is_refused() -> None:
    ciphertext, _ = PLACE.sealed(VAULT, RAW, CONFIGURATION)
    with pytest.raises(Altered, match="digest"):
        PLACE.opened(VAULT, ciphertext, CONFIGURATION, "0" * 64)


def test_a_backup_from_before_they_were_bound_is_known_by_the_id_in_it() -> None:
    assert PLACE.opened(VAULT, VAULT.seal(RAW), CONFIGURATION) == RAW
    with pytest.raises(Altered, match="another target"):
        PLACE.opened(VAULT, VAULT.seal({**RAW, "job_id": 8}), CONFIGURATION)


# -- in the database ---------------------------------------------------------------------------------------------------


@pytest.fixture
def world(migrated_url: str) -> Iterator[World]:
    made = World(migrated_url, targets=2)
    with made.database.write() as session:
        stage = session.execute(select(Stage).order_by(Stage.position).limit(1)).scalar_one()
        for target in session.execute(select(Target).where(Target.stage_key == stage.key)).scalars():
            place = Place(target.workspace, target.kind, target.object_id, stage.id, 1)
            ciphertext, digest = place.sealed(VAULT, {"of": target.name}, CONFIGURATION)
            of: dict[str, Any] = {"target_id": target.id, "stage_id": stage.id, "generation": 1}
            session.add(Backup(**of, ciphertext=ciphertext, digest=digest, state="", created_at=made.now))
            of |= {"rollout_id": made.rollout_id, "workspace": target.workspace, "attempt": 1, "created_at": made.now}
            session.add(Action(**of, kind=ActionKind.BACKUP, state=ActionState.DONE))
    yield made
    made.close()


def found(world: World) -> list[str]:
    with world.database.read() as session:
        return list(backups.problems(session, VAULT))


@pytest.mark.parametrize("with_digest", [True, False])
def test_one_that_was_put_in_the_place_of_another_is_found(world: World, with_digest: bool) -> None:
    assert found(world) == []
    with world.database.write() as session:
        first, second = session.execute(select(Backup).order_by(Backup.id).limit(2)).scalars()
        first.ciphertext = second.ciphertext
        if with_digest:
            first.digest = second.digest
    (problem,) = found(world)
    assert "was altered: it is not the one that was made of this target" in problem


def test_a_text_that_no_key_opens_is_a_lost_key(world: World) -> None:
    with world.database.write() as session:
        session.execute(update(Backup).values(ciphertext=b"x"))
    with pytest.raises(KeyProblem):
        found(world)


def test_backups_that_were_taken_out_are_missed(world: World) -> None:
    with world.database.write() as session:
        session.execute(delete(Backup))
    assert found(world) == ["2 backups that were made for dev are not there any more"]
