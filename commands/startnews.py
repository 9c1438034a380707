"""What is posted of a start that was to begin later: that it will, that it will not any more, or did not and why."""

from collections.abc import Mapping
from typing import Any, Final

from commands.reply import At, Button, Buttons, Icon, Line, Paragraph, Person, Reply, Strong, line
from rollout.standing import Standing

KINDS: Final = frozenset({"start_scheduled", "start_cancelled", "start_refused"})


def document(standing: Standing, kind: str, ids: Mapping[str, Any]) -> Reply | None:
    """A start that was to begin later: that it is, that it is not any more, or that it did not and why."""
    stage = next((s for s in standing.stages if s.key == ids.get("stage")), None)
    if stage is None:
        return None
    by: Line = (Person(str(ids["by"])),) if ids.get("by") else ("somebody",)
    at = {"rollout": standing.id, "stage": stage.key}
    if kind == "start_scheduled":
        if stage.begin_at is None or stage.begin_at.isoformat() != ids.get("begin_at"):
            return None
        said = f"{stage.key} is to begin later"
        lines = [line(Icon("waiting"), " ", Strong(said), " at ", At(stage.begin_at), ", scheduled by ", *by)]
        buttons = (Button("Cancel the start", "cancel", at), Button(f"Plan {stage.key}", "plan", at))
        return Reply(f"{said}.", (Paragraph(tuple(lines)), Buttons(buttons)))
    if kind == "start_cancelled":
        said = f"{stage.key} does not begin by itself any more"
        return Reply(f"{said}.", (Paragraph((line(Icon("info"), f" {said}: cancelled by ", *by),)),))
    said = f"{stage.key} did not begin at its time"
    lines = [line(Icon("warning"), " ", *by, ": ", Strong(said))]
    for code, sentence, next_step in list(ids.get("reasons") or ())[:5]:
        lines.append(line(f"{sentence} ({code}) Next: {next_step}"))
    return Reply(f"{said}.", (Paragraph(tuple(lines)), Buttons((Button(f"Plan {stage.key}", "plan", at),))))
