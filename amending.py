"""`python app.py plan amend FILE`: a changed plan for the open rollout of its key, which a second person accepts.

`python app.py plan show KEY`: the plan in force, as the text of a plan file.
"""

import os
import sys
from collections.abc import Collection
from datetime import datetime
from pathlib import Path

import planning
from operation import actor_of
from rollout import placeholders
from rollout.gates import Refuse
from rollout.planfile import PlanError, digest, examine
from rollout.planshow import file_text
from settings import SettingsError
from storage import amending as stored
from storage import sealing
from storage.acting import Who
from storage.database import Database
from storage.plans import open_plans


def propose(database: Database, now: datetime, operator: str, file: Path, checks: Collection[str]) -> int:
    """Check the file, print what differs and ask for a second person; 1 with everything that stands against it.

    ``operator`` is the Slack user id of who proposes; ``now`` a calendar instant. Raises PlanError for a file that is
    no plan, SettingsError for one that cannot be read, without an operator, or without an open rollout.
    """
    try:
        found = planning.examined(file, checks)
        left = list(placeholders.marked(found.tree)) if found.tree is not None else []
        if found.problems or left or found.plan is None:
            raise PlanError([*found.problems, *left])
        actor = actor_of(database, operator)
        plan = found.plan
        with database.read() as session:
            rollout_id = stored.rollout_of(session, plan.key)
            if rollout_id is None:
                there = ", ".join(stored.open_keys(session)) or "none"
                raise SettingsError([f"{file}: no rollout of plan {plan.key} is open (open: {there})"])
        who = Who(actor.user_id, actor.team_id, actor.groups)
        done = stored.propose(database, who, now, rollout_id, plan)
    finally:
        sealing.Sealer(database, f"terminal:{os.getpid()}").tick()  # no bot may be running that would do it
        database.close()
    if isinstance(done, Refuse):
        for reason in done.reasons:
            print(f"{file}: {reason.sentence}", file=sys.stderr)
        print("Nothing was proposed.", file=sys.stderr)
        return 1
    for line in done.lines:
        print(f"- {line}")
    stale = ", ".join(done.stale)
    print(f"Signed anew, because targets or criteria change: {stale}" if stale else "No sign-off becomes stale.")
    print(
        f"Proposed as plan {done.digest[:8]}: it is posted in the rollout's channel, and in force once somebody else "
        "who may administer the plan accepts it."
    )
    return 0


def show(database: Database, key: str, checks: Collection[str]) -> int:
    """Print the plan that the open rollout of that key follows, so that it can take the place of its file.

    Raises SettingsError for a key of no open rollout, PlanError when the text would not be read as the same plan.
    """
    try:
        with database.read() as session:
            if stored.rollout_of(session, key) is None:
                there = ", ".join(stored.open_keys(session)) or "none"
                raise SettingsError([f"{key}: no rollout of a plan with this key is open (open: {there})"])
            plan = next(p for p in open_plans(session) if p.key == key)
    finally:
        database.close()
    text = file_text(plan)
    read = examine(text, key, lambda name: None, checks)
    if read.problems or read.plan is None:
        raise PlanError(read.problems)
    if digest(read.plan) != digest(plan):
        raise SettingsError([f"{key}: the plan in force cannot be written as a file that reads the same"])
    print(f"# Plan {key} as it is in force: {digest(plan)[:8]}. What it extended is written out.")
    print(text, end="")
    return 0
