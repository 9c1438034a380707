"""A run as a workspace tells it, made fit to be stored: the same for every look that meets it."""

from storage.runs import Seen
from workspace.runs import RunSeen


def stored(run: RunSeen) -> Seen | None:
    """The run with its execution in seconds; where the platform does not say, from start to end. None: it goes on."""
    if run.ended is None:
        return None
    seconds = run.seconds if run.seconds is not None else (run.ended - run.started).total_seconds()
    return Seen(str(run.job_id), run.key, run.runtime, run.result, run.started, run.ended, seconds, run.cluster_ids)
