"""A first look at a workspace for which there is no plan yet: its targets, and how its jobs ran. Reads only."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from rollout.change import SUPPORTS, Found, Skip, Upgrade
from rollout.firstlook import Looked, Ran, Seen
from rollout.runtime import release
from workspace.client import Client
from workspace.discovery import Discovery, discover
from workspace.errors import Incomplete
from workspace.governed import widenings
from workspace.kinds import KINDS
from workspace.runs import runs_since
from workspace.ties import tags_of, ties_of

#: How far back runs are read, and how many pages of 24 at most: the newest 12,000 runs say enough.
HISTORY: Final = timedelta(days=7)
RUN_PAGES: Final = 500
_TELL_EVERY: Final = 2000


def survey(
    client: Client,
    workspace: str,
    source: str,
    target: str,
    now: datetime,
    tell: Callable[[str], None],
    run_pages: int = RUN_PAGES,
) -> Looked:
    """Look at everything once, by paged listings only. ``now`` is calendar time; ``tell`` takes lines of progress.

    Raises the WorkspaceErrors of ``Client.get``, and Incomplete if a listing of targets does not end.
    """
    tell(f"{workspace}: looking at clusters and jobs ({client.host})")
    found = discover(client)
    number = sum(f.kind in {"cluster", "job"} for f in found.found)
    tell(f"{workspace}: {number:,} clusters and jobs in {found.calls} calls; reading the runs of the week")
    since, complete = now - HISTORY, True
    runs: list[Ran] = []
    try:
        for seen in runs_since(client, None, since, most_pages=run_pages):
            if seen.ended is not None:
                runs.append(Ran(str(seen.job_id), seen.started, seen.ended, seen.result))
                if len(runs) % _TELL_EVERY == 0:
                    tell(f"{workspace}: {len(runs):,} runs, back to {seen.started:%a %d %b %H:%M} UTC")
    except Incomplete:
        # The newest ones are true; the days that they cover are said with them.
        complete, since = False, min((run.started for run in runs), default=since)
    tell(f"{workspace}: {len(runs):,} runs{'' if complete else f', only the newest: since {since:%a %H:%M} UTC'}")
    seen_there = tuple(_seen(workspace, found, source, target))
    return Looked(workspace, client.host, seen_there, tuple(runs), since, now, complete)


def _seen(workspace: str, found: Discovery, source: str, target: str) -> list[Seen]:
    asked = Upgrade(source, target, found.versions, found.policies, machines=found.machines)
    upgrade = replace(asked, policies=widenings(found.found, found.policies, asked))
    return [_one(workspace, one, upgrade) for one in found.found if one.kind in KINDS and one.kind not in SUPPORTS]


def _one(workspace: str, found: Found, upgrade: Upgrade) -> Seen:
    planned = KINDS[found.kind].plan(found.raw, upgrade)
    return Seen(
        workspace=workspace,
        kind=found.kind,
        object_id=found.object_id,
        name=found.name,
        owner=found.owner,
        state=found.state,
        on_source=any(release(key) == upgrade.source for key in found.runtimes),
        skip=planned.code if isinstance(planned, Skip) else None,
        tags=tags_of(found),
        ties=ties_of(found),
    )
