"""Keeps what Slack says of the people and groups that plans name, so that gates can tell who is available."""

import threading
import time
from datetime import timedelta
from typing import Final

import structlog
from slack_sdk import WebClient

from bot.clients import NotSent, Own, RateLimited, Refused, Unknown, call
from bot.identity import members_of, problem_of
from storage import directory, leases, owners
from storage.database import Database

log = structlog.get_logger("bot.directory")

LEASE: Final = "slack-directory"
_FAILURES = (RateLimited, Refused, NotSent, Unknown)
#: Errors by which Slack says that there is no such account.
_NOBODY = frozenset({"user_not_found", "user_not_visible", "users_not_found"})


#: Who is asked again later: all owners at once, and all people when Slack limits how often we may ask.
_OWNERS: Final = "owners"
_PEOPLE: Final = "people"
#: What to do where addresses may not be looked up.
_EMAIL_TODO: Final = "owners of jobs are told privately only with the scope users:read.email: docs/install.md"


class Directory:
    """A thread that refreshes everything every ``every`` seconds, and new names within ``poll`` seconds.

    ``burst`` people are looked at at once, then one every ``gap`` seconds: users.info allows about 100 a minute, and
    every press needs one.
    """

    def __init__(
        self,
        database: Database,
        web: WebClient,
        own: Own,
        owner: str,
        *,
        every: float = 600.0,
        poll: float = 15.0,
        burst: int = 20,
        gap: float = 1.5,
    ) -> None:
        self._database, self._web, self._own, self._owner = database, web, own, owner
        self._every, self._poll, self._burst, self._gap = every, poll, burst, gap
        self._known: frozenset[str] = frozenset()
        self._groups_at: dict[str, float] = {}
        self._again: dict[str, float] = {}
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin with a refresh."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="directory", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Look for new names now."""
        self._wake.set()

    def stop(self, timeout: float = 5.0) -> None:
        """End after the call in hand."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        wait = 0.0
        while not self._stopping.is_set():
            self._wake.wait(wait)
            self._wake.clear()
            # Until a rollout exists there is nobody to look for: look often, it costs one read.
            wait = self._poll if self._known else min(1.0, self._poll)
            try:
                if not self._stopping.is_set():
                    self.refresh()
            except Exception:
                log.exception("the directory could not be refreshed")

    def refresh(self) -> None:
        """Look at everybody who was not looked at for so long, and for owners of jobs who are to be told something."""
        self._owners()
        now = self._database.machine()
        with self._database.read() as session:
            named = directory.named(session)
            checked = directory.checked(session)
            people = named.people | directory.members(session, named.groups)
        stale = now - timedelta(seconds=self._every)
        groups = [g for g in sorted(named.groups) if time.monotonic() >= self._groups_at.get(g, 0.0)]
        wanted = [p for p in sorted(people, key=lambda p: (p in checked, p)) if p not in checked or checked[p] < stale]
        wanted = [p for p in wanted if time.monotonic() >= self._again.get(p, 0.0)]
        self._known = people
        if not (groups or wanted) or not leases.take(self._database, LEASE, self._owner, 60.0):
            return
        for group in groups:
            wanted += [p for p in sorted(self._group(group)) if p not in checked and p not in wanted]
        if time.monotonic() < self._again.get(_PEOPLE, 0.0):
            return
        for index, person in enumerate(wanted):
            if index >= self._burst and self._stopping.wait(self._gap):
                return
            if index % 10 == 9 and not leases.take(self._database, LEASE, self._owner, 60.0):
                return
            if not self._person(person):
                return  # the next one would be refused as well

    def _owners(self) -> None:
        """Who the owners are that Databricks names by address. Who cannot be found is listed in the stage's thread."""
        with self._database.read() as session:
            wanted = owners.unresolved(session, self._burst)
        held = time.monotonic() < self._again.get(_OWNERS, 0.0)
        if held or not wanted or not leases.take(self._database, LEASE, self._owner, 60.0):
            return
        for notice, address in wanted:
            if self._stopping.is_set():
                return
            try:
                found = self._owner_of(address)
            except (RateLimited, NotSent, Unknown) as error:
                self._later(_OWNERS, error)
                return
            with self._database.write() as session:
                owners.resolve(session, notice, found)

    def _owner_of(self, address: str) -> str | None:
        """The person with that address, if they could act; None also where we may not look. Raises as ``call``."""
        if "@" not in address:
            return None  # a service principal
        try:
            user = call(self._web.users_lookupByEmail, email=address)["user"]
        except Refused as error:
            if error.error not in _NOBODY:
                log.warning("an owner could not be looked up", error=error.error, todo=_EMAIL_TODO)
            return None
        return str(user["id"]) if problem_of(user, self._own) is None else None

    def _group(self, group: str) -> frozenset[str]:
        self._groups_at[group] = time.monotonic() + self._every
        try:
            found = members_of(self._web, group)
        except _FAILURES as error:
            log.warning("a user group could not be read", group=group, error=str(error), todo=_todo(error))
            self._groups_at[group] = time.monotonic() + 60.0
            return frozenset()
        with self._database.write() as session:
            directory.set_members(session, group, found)
        return found

    def _person(self, user_id: str) -> bool:
        """Look at a person; False when Slack asks to wait before the next."""
        try:
            user = call(self._web.users_info, user=user_id)["user"]
            team, problem = str(user.get("team_id") or ""), problem_of(user, self._own)
        except Refused as error:
            if error.error not in _NOBODY:
                self._later(user_id, error)
                return True
            team, problem = "", "identity_unknown"
            log.warning("a plan names a person whom Slack does not know", user=user_id)
        except (RateLimited, NotSent, Unknown) as error:
            limited = isinstance(error, RateLimited)
            self._later(_PEOPLE if limited else user_id, error)
            return not limited
        with self._database.write() as session:
            directory.know(session, user_id, team, problem, self._database.machine())
        return True

    def _later(self, user_id: str, error: Exception) -> None:
        self._again[user_id] = time.monotonic() + (error.seconds if isinstance(error, RateLimited) else 60.0)
        log.warning("a person could not be looked at", user=user_id, error=str(error))


def _todo(error: Exception) -> str:
    if isinstance(error, Refused) and error.error in ("missing_scope", "plan_upgrade_required", "paid_teams_only"):
        return "user groups need the scope usergroups:read and a paid plan; else name people by id"
    return ""
