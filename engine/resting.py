"""Whether the targets of a stage are at rest when its bake has ended. In a large fleet some cluster always starts or
stops just then: each target has to be seen at rest once, and who is on the way is looked at again."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from engine.parts import Parts
from engine.targetlook import Present, look_at_targets
from storage.models import Stage

#: Machine time between two looks at what is on its way.
AGAIN: Final = timedelta(seconds=5)
#: Calendar time after the end of the bake for which a review waits; then it opens, and says what is on its way.
PATIENCE: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Waiting:
    """The end of which bake it is, what was seen so far, and the machine instant of the next look."""

    bake_until: datetime
    present: Present
    again_at: datetime


Waits = MutableMapping[int, Waiting]
"""Stage id -> what its review waits for. In memory: after a restart all is looked at anew."""


def present_at_rest(parts: Parts, stage: Stage, waits: Waits) -> Present | None:
    """The targets of a stage whose bake has ended; None while one is on its way to another state."""
    assert stage.bake_until is not None
    before = waits.get(stage.id)
    if before is not None and before.bake_until != stage.bake_until:
        before = None
    if before is not None and parts.database.machine() < before.again_at:
        return None
    if before is None:
        present = look_at_targets(parts, stage.id)
    else:
        present = before.present.then(look_at_targets(parts, stage.id, only=frozenset(before.present.moving)))
    late = before is not None and parts.calendar() - stage.bake_until >= PATIENCE
    if present.moving and not late:
        waits[stage.id] = Waiting(stage.bake_until, present, parts.database.machine() + AGAIN)
        return None
    waits.pop(stage.id, None)
    return present
