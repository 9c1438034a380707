"""``share``: post a look to the channel, for all to see."""

from collections.abc import Mapping
from typing import Any, Final

from commands.call import Call, refused
from commands.reply import Icon, Paragraph, Reply, line
from storage import intents

#: The looks that may be shared; everything else is for one person only.
SHARED: Final = frozenset({"status", "plan", "checklist", "report", "audit", "contacts"})


def share(call: Call) -> Reply:
    """Queue the look; it is drawn anew when it is posted."""
    asked = call.request.arguments
    verb = str(asked.get("verb") or call.word or "")
    given = asked.get("arguments")
    arguments: Mapping[str, Any] = given if isinstance(given, dict) else {}
    if verb not in SHARED:
        raise refused("missing_argument", "Which look should be shared?", "/rollout status, then press Share")
    queued = intents.share(call.database, call.who, call.now, call.standing.id, verb, arguments)
    said = "It is being posted to the channel of the rollout." if queued else "It was shared just now already."
    return Reply(said, (Paragraph((line(Icon("ok"), f" {said}"),)),))
