"""``plan --managed``: the edits that repositories need, as text to copy, and how many of them have arrived."""

from collections.abc import Sequence

from commands.call import Call
from commands.reply import (
    Block,
    Button,
    Buttons,
    Heading,
    Icon,
    Line,
    Note,
    Paragraph,
    Preformatted,
    Reply,
    Strong,
    line,
)
from commands.shown import facts_age, pages
from commands.words import count, short
from rollout.patch import Edited, description
from rollout.plan import Plan
from storage import managed
from storage.managed import Arrival, Edit

#: Repositories on one page: their edits are shown whole.
_A_PAGE = 1
#: A button carries no more than so many bytes of a name.
_LONGEST_NAME = 900
#: So many hints, and so many names with each.
_HINTS, _NAMED = 4, 3


def edits(call: Call) -> Reply:
    """One repository after another, the one with the most to come first."""
    standing, key = call.standing, call.stage_key
    with call.database.read() as session:
        arrivals = managed.arrivals(session, standing.id, key)
        found = managed.edits(session, standing.id, key)
    title = f"Edits for repositories{f' in {key}' if key else ''}"
    if not arrivals:
        said = "No target that would have to move is deployed from a repository."
        return Reply(said, (Heading(title), Paragraph((line(said),)), Note(facts_age(standing, call.now))), share=True)
    repositories = list(dict.fromkeys(a.repository for a in arrivals))
    total, there = sum(a.total for a in arrivals), sum(a.arrived for a in arrivals)
    said = f"{count(len(repositories), 'repository', 'repositories')}: {there:,} of {count(total, 'edit')} arrived."
    blocks: list[Block] = [Heading(title), Paragraph((line(Strong(said)), *arrival_lines(arrivals)))]
    wanted = repositories if call.request.surface == "terminal" else repositories[call.page : call.page + _A_PAGE]
    for repository in wanted:
        left = [e for e in found if e.repository == repository and not e.arrived]
        if left:
            blocks.append(Preformatted(tuple(patch(repository, left, call.plan).splitlines())))
        else:
            blocks.append(Paragraph((line(f"Everything of {repository} has arrived."),)))
    plan = call.button("Plan", "plan", **({"stage": key} if key else {}))
    more = {"managed": True, **({"stage": key} if key else {})}
    if call.request.surface != "terminal":
        turn = pages(call, "plan", len(repositories), _A_PAGE, **more)
        if turn.buttons:
            blocks.append(turn)
    blocks.append(Note(facts_age(standing, call.now)))
    blocks.append(Buttons((*_downloads(call, wanted, there < total), call.button("Look again", "refresh"), plan)))
    return Reply(said, tuple(blocks), share=True)


def _downloads(call: Call, shown: Sequence[str], left: bool) -> list[Button]:
    """The edits as a file: of the repository that is shown, and of all."""
    stage = {"stage": call.stage_key} if call.stage_key else {}
    if not left:
        return []
    whole = call.button("Download all the edits", "download", **stage)
    if call.request.surface == "terminal" or len(shown) != 1 or len(shown[0].encode()) > _LONGEST_NAME:
        return [whole]
    return [call.button("Download the edits", "download", repository=shown[0], **stage), whole]


def patch(repository: str, left: Sequence[Edit], plan: Plan) -> str:
    """The patch description of one repository."""
    runtimes = plan.runtimes
    targets = [Edited(e.name, e.kind, e.workspace, e.object_id, e.owner or "unknown", e.fields) for e in left]
    return description(repository, targets, f"Databricks Runtime {runtimes.source} to {runtimes.target}")


def arrival_lines(arrivals: list[Arrival], most: int = 8) -> list[Line]:
    """``repository X: 40 of 120 arrived``."""
    sums: dict[str, tuple[int, int]] = {}
    for a in arrivals:
        arrived, total = sums.get(a.repository, (0, 0))
        sums[a.repository] = (arrived + a.arrived, total + a.total)
    lines = [line(f"{repository}: {arrived:,} of {total:,} arrived") for repository, (arrived, total) in sums.items()]
    return [*lines[:most], line(f"and {len(lines) - most} more")] if len(lines) > most else lines


def perhaps_lines(call: Call, stage_key: str | None) -> list[Line]:
    """What would be changed by API and perhaps comes from a repository: for people to look at before the start."""
    with call.database.read() as session:
        found = managed.perhaps(session, call.standing.id, stage_key)
    lines: list[Line] = []
    for hint, names in found[:_HINTS]:
        more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
        which = f"{', '.join(short(name, 60) for name in names[:_NAMED])}{more}"
        text = f" {count(len(names), 'target')} perhaps managed by {short(hint, 120)}. Look before the start: {which}."
        lines.append(line(Icon("info"), text))
    if len(found) > _HINTS:
        rest = sum(len(names) for _, names in found[_HINTS:])
        lines.append(line(f"and {count(rest, 'target')} more that something else may have deployed"))
    return lines
