"""What is posted when the rollout is paused, and when it goes on."""

from typing import Final

from commands.reply import Button, Buttons, Icon, Line, Paragraph, Person, Reply, Strong, line
from rollout.standing import Standing

KINDS: Final = frozenset({"paused", "resumed"})


def document(standing: Standing, kind: str) -> Reply | None:
    """That the rollout is paused, or goes on; None where that is no longer so."""
    if (kind == "paused") is not standing.paused:
        return None
    if not standing.paused:
        return Reply("The rollout goes on.", (Paragraph((line(Icon("ok"), " The rollout goes on."),)),))
    by: Line = (" by ", Person(standing.paused_by)) if standing.paused_by else ()
    why = f": {standing.paused_reason}" if standing.paused_reason else "."
    lines = (
        line(Icon("paused"), " ", Strong("The rollout is paused"), *by, why),
        line("Nothing new is begun. /rollout resume lets it go on; a rollback is possible all the same."),
    )
    button = Button("Resume", "resume", {"rollout": standing.id})
    return Reply(f"The rollout is paused{why}", (Paragraph(lines), Buttons((button,))))
