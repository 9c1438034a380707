"""``download [STAGE]``: the edits that repositories need, as one file for the channel; at a terminal as text."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from commands.call import Call, refused
from commands.managed import patch
from commands.reply import File, Icon, Line, Paragraph, Person, Preformatted, Reply, Surface, line
from commands.words import count
from rollout.standing import Standing
from storage import intents_edits, managed


def download(call: Call) -> Reply:
    """Queue the file; it is made anew when it is uploaded. At a terminal it is the answer itself."""
    named = call.text("repository", 1000) or None
    with call.database.read() as session:
        file = edits_file(session, call.standing, call.stage_key, named)
    if file is None:
        of = f" of {named}" if named else f" of {call.stage_key}" if call.stage_key else ""
        raise refused(
            "nothing_to_download", f"No repository{of} has an edit left to make.", "/rollout plan --managed shows all."
        )
    if call.request.surface == Surface.TERMINAL:
        return Reply(f"{file.title}.", (Preformatted(tuple(file.text.splitlines())),), file=file)
    queued = intents_edits.ask(call.database, call.who, call.now, call.standing.id, call.stage_key, named)
    said = (
        "The file is being uploaded to the channel of the rollout." if queued else "It was asked for just now already."
    )
    return Reply(said, (Paragraph((line(Icon("ok"), f" {said}"),)),))


def edits_file(session: Session, standing: Standing, stage_key: str | None, named: str | None) -> File | None:
    """The patch descriptions of one repository, or of all, one after the other; None when nothing is left to edit."""
    left: dict[str, list[managed.Edit]] = {}
    for edit in managed.edits(session, standing.id, stage_key):
        if not edit.arrived and named in (None, edit.repository):
            left.setdefault(edit.repository, []).append(edit)
    if not left:
        return None
    number = sum(map(len, left.values()))
    of = next(iter(left)) if len(left) == 1 else count(len(left), "repository", "repositories")
    where = f" in {stage_key}" if stage_key else ""
    text = "\n".join(patch(repository, edits, standing.plan) for repository, edits in left.items())
    title = f"{count(number, 'edit')} for {of}{where}"[:200]
    return File(f"{_plain(standing.plan.key)}-{_plain(stage_key or 'all')}-edits.txt", title, text)


def document(session: Session, standing: Standing, ids: Mapping[str, Any]) -> Reply | None:
    """The upload as it reads when it is sent; None when nothing is left to edit."""
    stage = str(ids["stage"]) if ids.get("stage") else None
    named = str(ids["repository"]) if ids.get("repository") else None
    file = edits_file(session, standing, stage, named)
    if file is None:
        return None
    by: Line = (", asked for by ", Person(str(ids["by"]))) if ids.get("by") else ()
    said = f"{file.title}: lines that begin with - are there now, those with + have to be."
    return Reply(said, (Paragraph((line(said, *by),)),), file=file)


def _plain(text: str) -> str:
    """Fit for a file's name."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in text)[:60]
