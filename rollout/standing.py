"""Where a rollout stands: one snapshot of what is stored, and what follows from it by the plan. Pure.

What follows is never read from a state column alone: whether a stage has passed is recomputed from the sign-offs of its
present generation (DESIGN 5, invariant 11).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from rollout import teams
from rollout.comparing import Compared
from rollout.conditions import SIGN_OFF, Waiver, counting
from rollout.issues import Issue, counted, upto
from rollout.people import members
from rollout.plan import Item as PlanItem
from rollout.plan import Plan
from rollout.states import (
    ACTION_BAD,
    ACTION_ENDED,
    ACTION_GOOD,
    WORK_OF,
    WORKING,
    ActionKind,
    ActionState,
    Decision,
    ItemState,
    StageState,
    Verdict,
)
from rollout.teams import TeamPart

#: What the lock of a rollback says where the person gave no reason.
NO_REASON: Final = "rolled back"
#: States in which a stage has, or may have, changes.
HAS_CHANGES: Final = frozenset({*WORKING, StageState.PASSED})


@dataclass(frozen=True, slots=True)
class Signature:
    """A standing sign-off."""

    id: int
    role: str
    user_id: str
    decision: Decision
    comment: str
    evidence_digest: str
    at: datetime
    mark: str = ""  # the first characters of its signature
    doubt: str = ""  # why it does not count (reason code): its own signature does not fit
    team: str = ""  # the team that it is for; empty: the stage

    @property
    def place(self) -> str:
        return teams.place(self.role, self.team)


@dataclass(frozen=True, slots=True)
class Finding:
    """The newest evidence for one criterion."""

    criterion: str
    verdict: Verdict
    reason_code: str
    sentence: str
    facts: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class Tally:
    """How many targets stand where with one kind of action, by their newest attempt."""

    pending: int = 0
    running: int = 0
    good: int = 0
    bad: int = 0

    @property
    def total(self) -> int:
        return self.pending + self.running + self.good + self.bad

    @property
    def ended(self) -> int:
        return self.good + self.bad

    @staticmethod
    def of(counts: Mapping[ActionState, int]) -> "Tally":
        """The tally of counts by state."""
        return Tally(
            counts.get(ActionState.PENDING, 0),
            sum(n for state, n in counts.items() if state not in ACTION_ENDED and state != ActionState.PENDING),
            sum(counts.get(s, 0) for s in ACTION_GOOD),
            sum(counts.get(s, 0) for s in ACTION_BAD),
        )


@dataclass(frozen=True, slots=True)
class StageStanding:
    """One stage in its present generation. ``planned`` counts what would be changed now; ``left_alone`` what not."""

    id: int
    key: str
    position: int
    state: StageState
    generation: int = 1
    version: int = 1
    left_state: StageState | None = None
    started_by: str | None = None
    started_at: datetime | None = None
    bake_until: datetime | None = None
    reviewed_at: datetime | None = None
    passed_at: datetime | None = None
    rolled_back_at: datetime | None = None
    change_set_digest: str | None = None
    evidence_digest: str | None = None
    locked: bool = False
    locked_reason: str = ""
    locked_by: str | None = None
    block_code: str | None = None
    block_sentence: str = ""
    planned: int = 0
    left_alone: int = 0
    pinned: int = 0
    begin_at: datetime | None = None  # a start waits for this time (calendar)
    begin_by: str | None = None
    shared: int = 0  # of those still to change: running clusters that people work on
    managed: int = 0  # wait for, or got, an edit of the repository that owns them
    arrived: int = 0  # of those, deployed on the new runtime
    drifted: int = 0  # not as we set them, or appeared after the freeze
    waiting_for_runs: tuple[str, ...] = ()  # clusters that are not restarted while runs are under way on them
    in_use: int = 0  # supports that its rollback left as changed, because something still needed them
    back_since: int | None = None  # the newest rollback of this generation began after the action of that id
    compared: Compared = field(default_factory=Compared)  # how its targets stand to their backups since then
    work: Mapping[ActionKind, Tally] = field(default_factory=dict)
    signatures: tuple[Signature, ...] = ()
    evidence_doubt: str = ""  # why its frozen evidence cannot be relied on; empty: it fits
    findings: Mapping[str, Finding] = field(default_factory=dict)
    escalation: int | None = None  # what wants a person's eye and is not over
    looked_after_by: str = ""  # who took it on; empty: nobody yet
    overrides: tuple[Waiver, ...] = ()  # every condition that was ever passed over, also those that count no more
    teams: Mapping[str, TeamPart] = field(default_factory=dict)  # by team, empty key: none; where each team signs
    team_overlaps: tuple[str, ...] = ()  # targets that more than one team names

    @property
    def waived(self) -> frozenset[str]:
        """The conditions that are passed over now."""
        return counting(self.overrides)

    @property
    def started(self) -> bool:
        """Whether this generation has actions."""
        return self.state not in {StageState.WAITING, StageState.READY}

    @property
    def total(self) -> int:
        """The targets of the change set: frozen once started, as planned before."""
        return self.tally(ActionKind.BACKUP).total if self.started else self.planned

    def tally(self, kind: ActionKind) -> Tally:
        return self.work.get(kind, Tally())

    @property
    def work_now(self) -> ActionKind | None:
        """The kind of action that the stage waits for, or waited for when it was blocked."""
        state = self.left_state if self.state is StageState.BLOCKED else self.state
        return WORK_OF.get(state) if state is not None else None

    @property
    def rejections(self) -> tuple[Signature, ...]:
        """What holds the stage. Also one whose signature does not fit: doubt never opens a gate."""
        return tuple(s for s in self.signatures if s.decision is Decision.REJECTED)

    @property
    def grants(self) -> tuple[Signature, ...]:
        """The grants that count: their signature fits, on today's evidence, not by the starter, and one per person.

        A person who signs for teams counts once for each of them, and then not also in a place of the stage.
        """
        found: dict[tuple[str, str], Signature] = {}
        for s in self.signatures:
            if s.decision is not Decision.GRANTED or s.doubt or s.user_id == self.started_by or self.is_stale(s):
                continue
            if not any(user == s.user_id and bool(team) is not bool(s.team) for user, team in found):
                found.setdefault((s.user_id, s.team), s)
        return tuple(found.values())

    def evidence_of(self, team: str = "") -> str:
        """The digest that a sign-off is given on: of the stage, or of what belongs to one team."""
        if not team:
            return self.evidence_digest or ""
        return self.teams[team].digest if team in self.teams else ""

    def is_stale(self, sign_off: Signature) -> bool:
        """Whether what it was given on is no longer what is there."""
        now = self.evidence_of(sign_off.team)
        return sign_off.evidence_digest != now or (bool(sign_off.team) and not now)

    @property
    def doubtful(self) -> tuple[Signature, ...]:
        """Sign-offs whose signature does not fit: they are named, and grants among them do not count."""
        return tuple(s for s in self.signatures if s.doubt)

    def lacking(self, required: Mapping[str, int]) -> dict[str, int]:
        """Place -> how many sign-offs it still lacks, in the order of the plan."""
        given: dict[str, int] = {}
        for s in self.grants:
            given[s.place] = given.get(s.place, 0) + 1
        waived = self.waived
        return {
            place: n - given.get(place, 0)
            for place, n in required.items()
            if n > given.get(place, 0) and f"{SIGN_OFF}:{place}" not in waived
        }


@dataclass(frozen=True, slots=True)
class WorkspaceStanding:
    """What is known of the last looks at one workspace."""

    key: str
    looked_at: datetime | None = None
    look_wanted_at: datetime | None = None
    error: str = ""
    slow_for: float = 0.0  # machine seconds for which it asked not to be asked
    at_once: int | None = None  # targets that may be in flight there, since it asked us to slow down

    @property
    def look_pending(self) -> bool:
        """Whether somebody asked for a look that has not happened yet."""
        wanted = self.look_wanted_at
        return wanted is not None and (self.looked_at is None or self.looked_at < wanted)


@dataclass(frozen=True, slots=True)
class ItemStanding:
    """Where one checklist item stands, and who said so."""

    state: ItemState
    by: str
    comment: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Assigned:
    """Whose a checklist item is, and until which day (of the plan's zone) it is due."""

    owner: str
    due: date | None
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Pin:
    """A target that stays on the old runtime, with who answers for it."""

    target_id: int
    name: str
    kind: str
    workspace: str
    stage: str | None
    reason: str
    owner: str | None
    by: str | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """One rollout as it is stored now."""

    id: int
    plan: Plan
    channel: str
    opened_at: datetime
    stages: tuple[StageStanding, ...]
    workspaces: Mapping[str, WorkspaceStanding]
    items: Mapping[str, ItemStanding]
    available: frozenset[str]
    groups: Mapping[str, Collection[str]]
    version: int = 1
    paused: bool = False
    paused_reason: str = ""
    paused_by: str | None = None
    paused_at: datetime | None = None
    file_differs: bool = False
    file_older: bool = False  # it differs because it says what ruled before an amendment
    unassigned: int = 0  # targets in no stage
    read_only: bool = False  # the process that looks may only look; nothing of it is stored
    orphans: int = 0  # of those, on the source runtime: nobody would move them
    overlaps: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # stage -> what another one selects as well
    pins: tuple[Pin, ...] = ()
    issues: tuple[Issue, ...] = ()  # the open ones, oldest first
    issues_resolved: int = 0
    assigned: Mapping[str, Assigned] = field(default_factory=dict)  # item -> whose it is

    def stage(self, key: str) -> StageStanding:
        """The stage of that key. Raises KeyError."""
        for stage in self.stages:
            if stage.key == key:
                return stage
        raise KeyError(key)

    def required(self, key: str) -> Mapping[str, int]:
        """Place -> how many sign there: the roles of the plan, and the teams that have targets in the stage."""
        return teams.places(self.plan.stage(key), self.stage(key).teams.values())

    def titles(self) -> dict[str, str]:
        return teams.titles(self.plan)

    def has_passed(self, key: str) -> bool:
        """Recomputed, never read from its state alone: its sign-offs are all there, verified, on evidence that still
        fits, and nobody rejected it."""
        stage = self.stage(key)
        return stage.state is StageState.PASSED and self.is_accepted(key)

    def is_accepted(self, key: str) -> bool:
        """Whether sign-offs and evidence would pass the stage, whatever its state says."""
        stage = self.stage(key)
        fits = stage.evidence_digest is not None and not stage.evidence_doubt
        return fits and bool(stage.grants) and not stage.rejections and not stage.lacking(self.required(key))

    def predecessors_passed(self, key: str) -> bool:
        return all(self.has_passed(s.key) for s in self.plan.before(key))

    def current(self) -> StageStanding | None:
        """The first stage that has not passed: what the rollout is at."""
        return next((s for s in self.stages if not self.has_passed(s.key)), None)

    def newest_with_changes(self) -> StageStanding | None:
        """The stage that a rollback without an argument means."""
        return next((s for s in reversed(self.stages) if s.state in HAS_CHANGES), None)

    def later_with_changes(self, key: str) -> tuple[StageStanding, ...]:
        """Later stages with changes, latest first."""
        after = {s.key for s in self.plan.after(key)}
        return tuple(s for s in reversed(self.stages) if s.key in after and s.state in HAS_CHANGES)

    def blocking_items(self, key: str) -> tuple[PlanItem, ...]:
        """Checklist items that must be done before the stage starts and are not."""
        upto = {s.key for s in self.plan.before(key)} | {key}
        waived = self.stage(key).waived
        return tuple(
            i
            for i in self.plan.checklist
            if i.required and i.blocks in upto and self.is_open(i.key) and f"item:{i.key}" not in waived
        )

    def is_open(self, item: str) -> bool:
        found = self.items.get(item)
        return found is None or found.state is ItemState.OPEN

    def issues_of(self, key: str) -> tuple[Issue, ...]:
        """Open issues of the stage, of those before it and of the whole rollout."""
        return upto(self.issues, key, [s.key for s in self.plan.stages])

    def issues_holding_start(self, key: str) -> tuple[Issue, ...]:
        """Open critical issues without which the stage must not begin."""
        return counted(self.issues_of(key), "critical")

    def issues_holding_review(self, key: str) -> tuple[Issue, ...]:
        """Open issues with which the stage cannot pass: the critical ones, and what its criteria count."""
        of = self.issues_of(key)
        found = {i.number: i for i in counted(of, "critical")}
        for criterion in self.plan.stage(key).criteria:
            if criterion.issues is not None:
                found |= {i.number: i for i in counted(of, criterion.issues)}
        return tuple(found[number] for number in sorted(found))

    def candidates(self) -> dict[str, frozenset[str]]:
        """Place -> people who are known to be available."""
        return {role: people & self.available for role, people in members(self.plan, self.groups).items()}
