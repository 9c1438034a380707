"""What the gates decide on: one flat record per decision. Pure; ``rollout.standing`` fills them in."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rollout.states import ActionState, StageState


@dataclass(frozen=True, slots=True)
class May:
    """Whether the person holds a role that may do this, and the titles of the roles that do."""

    permitted: bool
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Predecessor:
    """An earlier stage that has not passed: its state, the sign-offs it lacks, and whether somebody rejected it.

    ``doubts`` name sign-offs that are there and do not count; ``evidence_doubt`` says why its evidence does not.
    """

    key: str
    state: StageState
    lacking: tuple[str, ...] = ()
    rejected: bool = False
    doubts: tuple[str, ...] = ()
    evidence_doubt: str = ""


@dataclass(frozen=True, slots=True)
class StartFacts:
    """May this person start this stage now? ``candidates`` are the available people of each role."""

    stage: str
    state: StageState
    may: May
    actor: str
    required: Mapping[str, int]
    candidates: Mapping[str, frozenset[str]]
    titles: Mapping[str, str]
    locked: bool = False
    locked_reason: str = ""
    paused: bool = False
    paused_reason: str = ""
    not_passed: tuple[Predecessor, ...] = ()
    items_open: tuple[str, ...] = ()
    issues_open: tuple[str, ...] = ()  # critical ones of this stage and of those before it
    never_looked: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    unreachable: tuple[tuple[str, str], ...] = ()  # workspace, what it said
    targets: int = 1
    overlaps: tuple[str, ...] = ()  # targets that another stage selects as well
    overrode: tuple[str, ...] = ()  # conditions that this very person passed over, or confirmed so
    team_overlaps: tuple[str, ...] = ()  # targets that more than one team names, where each team signs


@dataclass(frozen=True, slots=True)
class PinFacts:
    """May this person pin a target, or lift its pin?"""

    target: str
    may: May
    pinned: bool
    running: bool = False  # work on it has not ended
    rolling_back: bool = False  # its stage is being rolled back
    support: bool = False  # shared by targets: it moves with them
    owner: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RetryFacts:
    """May this person let a blocked stage go on, repeating what failed?"""

    stage: str
    state: StageState
    may: May
    paused: bool = False
    paused_reason: str = ""


@dataclass(frozen=True, slots=True)
class SignFacts:
    """May this person approve or reject the stage? ``held`` are the places (``rollout.teams``) where they may sign."""

    stage: str
    state: StageState
    actor: str
    started_by: str | None
    held: tuple[str, ...]  # required places in which the person may sign
    open_roles: tuple[str, ...]  # of those, the ones that lack a sign-off or are held up by a rejection
    required: tuple[str, ...]  # titles, for the message
    said: str | None = None  # "granted" or "rejected": what the person said already
    doing: str = ""  # what the stage does now, for "nothing to approve yet"
    elsewhere: tuple[str, ...] = ()  # stages that are in review
    titles: Mapping[str, str] = field(default_factory=dict)
    again: bool = False  # it counts as passed, but its sign-offs do not carry that: they may be given again
    evidence_doubt: str = ""  # why the evidence cannot be signed
    unmet: tuple[str, ...] = ()  # criteria that do not hold and that nobody passed over, in words
    overridable: bool = False  # the plan says who may pass over them
    issues_open: tuple[str, ...] = ()  # those that hold the stage in review


@dataclass(frozen=True, slots=True)
class RollBackFacts:
    """May this person roll the stage back?"""

    stage: str
    state: StageState
    may: May
    later_started: tuple[str, ...] = ()
    bad_reverts: int = 0
    in_use: int = 0  # supports that were left as changed, because something still needed them


@dataclass(frozen=True, slots=True)
class TargetRollBackFacts:
    """May this person put one target back and pin it? ``change`` is its newest CHANGE of the generation."""

    target: str
    stage: str | None
    state: StageState | None
    may: May
    acted: bool = False  # the generation has an action for it
    change: ActionState | None = None
    revert: ActionState | None = None
    running: bool = False
    pinned: bool = False
    support: bool = False  # not a target: shared by targets of several stages


@dataclass(frozen=True, slots=True)
class PauseFacts:
    """May this person pause or resume the rollout?"""

    may: May
    paused: bool
    paused_reason: str = ""


@dataclass(frozen=True, slots=True)
class UnlockFacts:
    """May this person make a rolled-back stage ready again?"""

    stage: str
    state: StageState
    locked: bool
    may: May
    reason: str = ""


@dataclass(frozen=True, slots=True)
class IssueFacts:
    """May this person resolve, re-open or change this issue? ``may`` is about the right to operate."""

    number: int
    open: bool
    critical: bool
    actor: str
    owner: str
    reporter: str
    may: May


@dataclass(frozen=True, slots=True)
class AttestFacts:
    """May this person say of these checklist items where they stand?"""

    actor_roles: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    by_the_bot: tuple[str, ...] = ()  # titles of items that are not ticked by hand
    not_theirs: tuple[tuple[str, tuple[str, ...]], ...] = ()  # title, titles of the roles that may
    nothing: bool = False
    reason_missing: bool = False


@dataclass(frozen=True, slots=True)
class AssignFacts:
    """May this person give these checklist items to somebody? ``unfit``: title of an item that the new owner could not
    tick, and the titles of the roles that may."""

    actor_roles: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    by_the_bot: tuple[str, ...] = ()
    unfit: tuple[tuple[str, tuple[str, ...]], ...] = ()
    nothing: bool = False
    day_passed: bool = False
