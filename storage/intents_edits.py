"""The wish of a person for the edits of repositories as a file: a row of the outbox, and an event."""

import hashlib
import time
from datetime import datetime

from storage.acting import Who
from storage.database import Database
from storage.record import event, post


def ask(
    database: Database, who: Who, now: datetime, rollout_id: int, stage_key: str | None, repository: str | None
) -> bool:
    """Queue the file for the channel; False when the same was asked for in this very minute (a double press)."""
    digest = hashlib.sha256(f"{stage_key}\n{repository}".encode()).hexdigest()[:16]
    ids = {"stage": stage_key, "repository": repository, "by": who.user_id}
    with database.write() as session:
        key = f"edits:{rollout_id}:{who.user_id}:{digest}:{int(time.time() // 60)}"
        queued = post(session, now, key, "edits", rollout_id=rollout_id, ids=ids, repeat=True)
        if queued:
            sentence = f"asked for the edits of {repository or 'every repository'} as a file"
            event(session, now, who.by, "download", sentence, rollout_id=rollout_id, data=ids)
        return queued
