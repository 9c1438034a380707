"""What is said of supports: the policies and pools that targets share, changed before them and put back after them."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from commands.call import Call
from commands.reply import Icon, Line, line
from commands.words import count, listed, short
from rollout.standing import Standing
from storage import dryrun, tallies
from storage.dryrun import Planned

_SHOWN = 5


def changed(planned: Sequence[Planned]) -> list[Line]:
    """Which policies are widened and which pools are made before the targets of a change set."""
    lines: list[Line] = []
    if policies := [p for p in planned if p.kind == "policy"]:
        one = len(policies) == 1
        said = f"{len(policies)} {'policy is' if one else 'policies are'} widened first, with the old default kept: "
        rest = f"What else {'it governs' if one else 'they govern'} stays as it is."
        lines.append(line(Icon("warning"), f" {said}{_names([(p.name, p.workspace) for p in policies])}. {rest}"))
    if pools := [p for p in planned if p.kind == "pool"]:
        one = len(pools) == 1
        said = f"{count(len(pools), 'new pool')} {'is' if one else 'are'} made first, set up and permitted as "
        kept_too = "which is kept" if one else "which are kept"
        lines.append(line(Icon("warning"), f" {said}{_names([(p.name, p.workspace) for p in pools])}, {kept_too}."))
        costs = [(p.name, note) for p in pools for note in p.change.notes if "idle machine" in note]
        lines += [line(Icon("warning"), f" {short(name, 40)}: {note}.") for name, note in costs[:_SHOWN]]
    return lines


def kept(call: Call, stage_key: str | None) -> list[Line]:
    """The pools that targets of a stage, or of all, keep although only the old runtime is loaded there, and why."""
    with call.database.read() as session:
        found = dryrun.kept_pools(session, call.standing.id, stage_key)
    lines = [
        line(Icon("warning"), f" Pool {short(name, 40)} ({workspace}) is kept ({code}): {short(sentence, 240)}")
        for name, workspace, code, sentence in found[:_SHOWN]
    ]
    return [*lines, line(f"and {len(found) - _SHOWN} pools more that are kept")] if len(found) > _SHOWN else lines


def put_back_last(call: Call, keys: Sequence[str]) -> list[Line]:
    """The supports that go back after the targets, unless somebody still needs them as they are."""
    with call.database.read() as session:
        found = tallies.changed_supports(session, [call.standing.stage(key).id for key in keys])
    lines: list[Line] = []
    if policies := [(name, workspace) for kind, name, workspace in found if kind == "policy"]:
        who = f"policy {_names(policies)} goes" if len(policies) == 1 else f"policies {_names(policies)} go"
        lines.append(line(f"The {who} back after the targets, unless something else needs the new runtime."))
    if pools := [(name, workspace) for kind, name, workspace in found if kind == "pool"]:
        who = "pool is" if len(pools) == 1 else "pools are"
        text = f"The new {who} deleted at the end, unless something else refers to it: made for {_names(pools)}."
        lines.append(line(text if len(pools) == 1 else text.replace("refers to it", "refers to them")))
    return lines


def left_widened(session: Session, standing: Standing) -> list[Line]:
    """The policies that still take the old runtime although the stages that widened them have passed."""
    found = tallies.left_widened(session, standing.id)
    if not found:
        return []
    one = len(found) == 1
    said = (
        f"{count(len(found), 'policy', 'policies')} still {'takes' if one else 'take'} {standing.plan.runtimes.source}"
    )
    how = (
        "each is narrowed once every stage has passed and nothing under it is on the old runtime"
        if standing.plan.supports.narrow
        else "the plan does not say supports: {narrow: true}, so they are left so"
    )
    return [line(Icon("info"), f" {said}: {_names(found)}; {how}.")]


def _names(found: Sequence[tuple[str, str]]) -> str:
    names = [f"{short(name, 40)} ({workspace})" for name, workspace in found[:_SHOWN]]
    return listed(names) + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")
