"""What is said of the machine types of targets before a start: what is left alone for them, and what to look at."""

from collections.abc import Collection
from itertools import groupby

from commands.call import Call
from commands.reply import Icon, Line, line
from commands.words import count, listed, short
from storage import machines
from storage.machines import Against

_NAMED = 3


def lines(call: Call, stage_key: str | None, workspaces: Collection[str]) -> list[Line]:
    """For one stage, or for all: by reason code with names, then the workspaces that do not say what they offer."""
    with call.database.read() as session:
        found = machines.against(session, call.standing.id, stage_key)
        unknown = machines.unknown(session, workspaces)
    said = [_said(held, code, list(some)) for (held, code), some in groupby(found, lambda one: (one.held, one.code))]
    if unknown:
        names = listed(unknown[:_NAMED]) + (f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else "")
        offer = "offers" if len(unknown) == 1 else "offer"
        text = f" Which machine types {names} {offer} is not known: nothing is said of any."
        said.append(line(Icon("info"), text))
    return said


def _said(held: bool, code: str, some: list[Against]) -> Line:
    names = list(dict.fromkeys(f"{short(one.name, 40)} ({one.kind}, {one.workspace})" for one in some))
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    what = "left alone for the machine type" if held else "with a machine type to look at"
    pools = any(one.kind == "pool" for one in some)
    number = count(len(names), "target or pool", "targets or pools") if pools else count(len(names), "target")
    first = short(f"{some[0].text[:1].upper()}{some[0].text[1:]}", 240)
    return line(Icon("warning"), f" {number} {what} ({code}): {', '.join(names[:_NAMED])}{more}. {first}")
