"""Once the last stage that uses a policy has passed: its default flips, and where the plan says so, it is narrowed."""

import json
from collections.abc import Callable
from dataclasses import replace

import structlog

from engine.parts import Parts
from engine.replan import upgrade_of
from rollout.change import NARROWS, Change, FieldChange, Upgrade
from rollout.policy import ATTRIBUTES, Rule
from rollout.policy_end import Newer, flipped, narrowed
from rollout.pool import POOLS
from rollout.runtime import Mapped, map_runtime
from storage import finishing
from storage.discovered import Offer
from storage.models import Rollout
from storage.plans import plan_of
from workspace.json_text import member, with_member

log = structlog.get_logger(__name__)


def finish_policies(parts: Parts, rollout_id: int, workspace: str, offer: Offer) -> None:
    """After a look at ``workspace`` that found ``offer``: one more action for each policy that is due one."""
    if parts.read_only:
        return
    with parts.database.read() as session:
        rollout = session.get_one(Rollout, rollout_id)
        upgrade = upgrade_of(plan_of(rollout), None, offer)
        due = finishing.finished(session, rollout, workspace)
    for one in due:
        change = flip(one.change, upgrade) or (narrow(one.change, upgrade) if one.narrow else None)
        if change is None:
            continue
        with parts.database.write() as session:
            begun = finishing.begin(session, one, change, parts.calendar())
        if begun:
            log.info("policy_finished", workspace=workspace, policy=one.name, what=", ".join(change.notes))


def flip(last: Change, upgrade: Upgrade) -> Change | None:
    """What was last written, with the new defaults; None where there is nothing to flip."""
    found = _rewritten(last, lambda name, rule: flipped(name, rule, _newer(name, upgrade)))
    return replace(found, notes=("its default is the new runtime now",)) if found is not None else None


def narrow(last: Change, upgrade: Upgrade) -> Change | None:
    """What was last written, without the old values; None where there is nothing to narrow."""
    found = _rewritten(last, lambda name, rule: narrowed(rule, _newer(name, upgrade)))
    return replace(found, notes=("it takes the old runtime no longer",), step=NARROWS) if found is not None else None


def _newer(attribute: str, upgrade: Upgrade) -> Newer:
    def of_runtime(old: str) -> str | None:
        mapped = map_runtime(old, upgrade)
        return mapped.key if isinstance(mapped, Mapped) and mapped.runtime_engine is None else None

    def of_pool(old: str) -> str | None:
        pool = upgrade.pools.get(old)
        return pool.stand_in if pool is not None else None

    if attribute == "spark_version":
        return of_runtime
    return of_pool if attribute in POOLS else lambda _: None


def _rewritten(last: Change, rule_of: Callable[[str, Rule], Rule | None]) -> Change | None:
    """All fields of ``last`` from what they hold now to what they are to hold: the way back needs every one of them."""
    fields = tuple(FieldChange(f.path, f.after, _text(f, rule_of)) for f in last.fields)
    return Change(fields) if any(f.before != f.after for f in fields) else None


def _text(field: FieldChange, rule_of: Callable[[str, Rule], Rule | None]) -> str:
    text = str(field.after)
    if len(field.path) > 1:
        new = rule_of(field.path[1], json.loads(text))
        return json.dumps(new) if new is not None else text
    for name in ATTRIBUTES:  # the whole document, which had no rule of ours before
        rule = member(text, name)
        new = rule_of(name, json.loads(rule)) if rule is not None else None
        text = with_member(text, name, json.dumps(new)) if new is not None else text
    return text
