"""The plan: what a rollout is made of. Parsed from YAML by ``rollout.planfile``; frozen once parsed.

Durations are seconds. People and groups are Slack ids. What a single field may hold is said here; whether the parts of
a plan fit each other is ``rollout.plancheck``'s question.
"""

from datetime import time
from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from rollout.planfields import Cron, Duration, Limit, Moment, TimeOfDay, Zone, described, names_of

_WORD: Final = "lower-case letters, digits and '-', beginning with a letter, at most"
RoleKey = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,29}$", description=f"{_WORD} 30 characters")]
#: "Roll back " + 14 characters fit Slack's limit of 24 for a submit button.
StageKey = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,13}$", description=f"{_WORD} 14 characters")]
TeamKey = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,28}$", description=f"{_WORD} 29 characters")]
ItemKey = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,59}$", description=f"{_WORD} 60 characters")]
#: No '-', because the key becomes part of the name of a setting.
WorkspaceKey = Annotated[
    str, Field(pattern=r"^[a-z][a-z0-9_]{0,29}$", description=f"{_WORD.replace('-', '_')} 30 characters")
]
PlanKey = Annotated[
    str,
    Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,39}$", description="lower-case letters, digits, '.' and '-', at most 40"),
]
UserId = Annotated[str, Field(pattern=r"^[UW][A-Z0-9]{2,20}$", description="a Slack user id such as U0123ABCDEF")]
GroupId = Annotated[str, Field(pattern=r"^S[A-Z0-9]{2,20}$", description="a Slack user group id such as S0123ABCDEF")]
ChannelId = Annotated[str, Field(pattern=r"^[CG][A-Z0-9]{2,20}$", description="a Slack channel id such as C0123ABCDEF")]
Release = Annotated[str, Field(pattern=r"^[1-9][0-9]?\.(0|[1-9][0-9]?)$", description="a runtime release such as 17.3")]
Timeline = Annotated[
    str, Field(pattern=r"^(\d{1,3}(-\d{1,3}|\+)?)?$", description="days such as 3, 3-5 or 11+, counted from 1")
]
Variable = Annotated[
    str,
    Field(pattern=r"^[A-Z][A-Z0-9_]{0,99}$", description="the name of an environment variable such as ROLLOUT_WEBHOOK"),
]
#: Slack shows an item as an option of a checkbox group: at most 75 characters.
Title = Annotated[str, Field(min_length=1, max_length=75)]
Sentence = Annotated[str, Field(max_length=400)]
Source = Annotated[str, Field(max_length=20)]
Kind = Literal["cluster", "job"]
Tag = Annotated[str, Field(pattern=r"^[^=\s][^=]*=.*$", description="a tag such as team=orders or env=prod*")]
#: Which open issues count: the critical ones, those about data, or all.
Issues = Literal["critical", "data", "all"]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

#: Pattern -> what it stands for, for messages to people.
PATTERNS: Final = described(
    *(RoleKey, StageKey, TeamKey, ItemKey, WorkspaceKey, PlanKey),
    *(UserId, GroupId, ChannelId, Release, Timeline, Tag, Variable),
)


class Part(BaseModel):
    """Every part of a plan: frozen, and a word that is not known is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Runtimes(Part):
    """From which release to which; ``fallback`` when the source can no longer be selected."""

    source: Release
    target: Release
    fallback: Release | None = None


class Role(Part):
    """People who may sign in this role: by id, by Slack user group, or both."""

    title: Annotated[str, Field(min_length=1, max_length=40)]
    source: Source = ""
    members: tuple[UserId, ...] = ()
    groups: tuple[GroupId, ...] = ()


class Capabilities(Part):
    """Which roles may do what. Looking is free to every member of the team."""

    start: tuple[RoleKey, ...]
    rollback: tuple[RoleKey, ...]
    pause: tuple[RoleKey, ...]
    resume: tuple[RoleKey, ...] | None = None  # None: those who may pause
    administer: tuple[RoleKey, ...] | None = None  # accept changes of the plan; None: those who may start

    @property
    def may_resume(self) -> tuple[RoleKey, ...]:
        return self.pause if self.resume is None else self.resume

    @property
    def may_administer(self) -> tuple[RoleKey, ...]:
        return self.start if self.administer is None else self.administer


class Override(Part):
    """Who may pass over one unmet condition: somebody of ``role`` asks, somebody else of ``second`` confirms.

    ``sign-offs`` may be covered only in a stage that says ``production: false``.
    """

    role: RoleKey
    second: RoleKey
    covers: Annotated[tuple[Literal["verdicts", "items", "sign-offs"], ...], Field(min_length=1)] = (
        "verdicts",
        "items",
    )


class Exclude(Part):
    """What a selection leaves out: whatever one of these words names."""

    kinds: tuple[Kind, ...] = ()
    names: tuple[str, ...] = ()
    tags: tuple[Tag, ...] = ()
    owners: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()


class Words(Part):
    """What a selection of targets says besides workspaces.

    Each word narrows the selection; of one word any value will do, and a word that is empty narrows nothing. Names,
    owners and the values of tags are shell patterns, case-sensitive. A plain list as ``exclude`` is of names.
    """

    kinds: Annotated[tuple[Kind, ...], Field(min_length=1)] = ("cluster", "job")
    names: tuple[str, ...] = ()
    tags: tuple[Tag, ...] = ()  # key=value: custom tags of a cluster, tags of a job and custom tags of its clusters
    owners: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    exclude: Annotated[Exclude, BeforeValidator(names_of)] = Exclude()


class Selection(Words):
    """Which targets a stage takes: an earlier stage takes a target first."""

    workspaces: Annotated[tuple[WorkspaceKey, ...], Field(min_length=1)]
    #: What comes out of a repository is proposed for that repository; or changed by API all the same.
    managed: Literal["propose", "force"] = "propose"


class OfTeam(Words):
    """Which targets belong to a team; without ``workspaces`` in any of them."""

    workspaces: tuple[WorkspaceKey, ...] = ()


class Team(Part):
    """A team of the company: its targets, its people (a Slack user group, ids, or both), and where it is told."""

    title: Annotated[str, Field(min_length=1, max_length=40)]
    select: OfTeam
    group: GroupId | None = None
    members: tuple[UserId, ...] = ()
    channel: ChannelId | None = None  # None: the thread of the stage


class EachTeam(Part):
    """A role in which each team signs for its own targets. ``after``: how long it has, from the begin of the review.

    ``block``: the stage waits on. ``pin``: the targets of a team that did not sign are put back and pinned.
    """

    after: Duration | None = None
    unsigned: Literal["block", "pin"] = "block"


class Window(Part):
    """When targets may be touched. ``start`` later than ``end`` runs across midnight."""

    days: Annotated[tuple[Day, ...], Field(min_length=1)]
    start: TimeOfDay
    end: TimeOfDay
    zone: Zone = "UTC"


class Freeze(Part):
    """A time in which nothing is changed, whatever the windows say: from its first moment until its last."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, populate_by_name=True)

    begin: Annotated[Moment, Field(alias="from")]
    end: Annotated[Moment, Field(alias="to")]
    zone: Zone = "UTC"
    reason: Annotated[str, Field(min_length=1, max_length=200)]


class WorkspaceLimit(Part):
    """What all stages together may do in one workspace; None: the default."""

    calls_per_second: Annotated[float, Field(ge=0.1, le=1000)] | None = None
    max_parallel: Annotated[int, Field(ge=1, le=100)] | None = None


class Criterion(Part):
    """A line that decides go or no-go of a stage: by a registered check, by counting the issues that were found on the
    way and are open, or by the people who sign."""

    key: ItemKey
    title: Title
    done_when: Sentence = ""
    source: Source
    by: Literal["check", "issues", "person"] = "person"
    check: str | None = None
    issues: Issues | None = None  # with by: issues, which ones must all be resolved


class Stage(Part):
    """A step of the rollout."""

    key: StageKey
    title: Annotated[str, Field(min_length=1, max_length=60)]
    source: Source = ""
    days: Timeline = ""  # the timeline of the plan, for example "3-5": it advises, it never gates
    targets: Selection
    sign_offs: dict[RoleKey, Annotated[int, Field(ge=1, le=10)]]
    #: Of these, roles in which each team signs for its own targets; the number then asks for what belongs to no team.
    each_team: dict[RoleKey, EachTeam] = {}
    bake: Duration = 0
    max_parallel: Annotated[int, Field(ge=1, le=100)] = 8
    max_failures: Limit = 3  # failed targets, or per cent of the stage's targets
    max_run_failures: Limit | None = None  # failed runs on the new runtime, or per cent of them; None: not counted
    busy: Literal["wait", "ask", "restart"] = "wait"  # where runs are under way on a cluster that a change restarts
    windows: tuple[Window, ...] = ()
    criteria: tuple[Criterion, ...] = ()
    production: bool = True  # false: its sign-offs may be overridden, where the plan says so
    override: Override | None = None  # None: as the plan says


class Item(Part):
    """One line of the checklist.

    ``required`` and ``blocks`` are the business of whole lines; a line that is ``part_of`` another says in more detail
    what that one means, and may be ticked by whoever did it.
    """

    key: ItemKey
    title: Title
    done_when: Sentence = ""
    source: Source
    phase: Annotated[str, Field(min_length=1, max_length=60)]
    part_of: ItemKey | None = None
    stage: StageKey | None = None  # the stage it belongs to; None: the whole rollout
    by: Literal["check", "action", "person"] = "person"
    check: str | None = None
    attest: tuple[RoleKey, ...] = ()  # roles that may attest; empty: anyone who holds a role
    required: bool = True
    blocks: StageKey | None = None  # the stage that may not start while it is open; None: blocks nothing


class SummaryLine(Part):
    """One line of the final summary. Never ticked: it holds when its items are done, its stages have passed and none of
    the issues that it counts is open."""

    key: ItemKey
    phase: Annotated[str, Field(min_length=1, max_length=60)]
    title: Title
    source: Source
    items: tuple[ItemKey, ...] = ()
    stages: tuple[StageKey, ...] = ()
    issues: Issues | None = None


class Report(Part):
    """A summary that is due by a cron expression (five fields, weekdays by name) in a zone."""

    cron: Cron
    zone: Zone = "UTC"


class Reports(Part):
    """The daily summary of an open rollout, and the look at the runs while a stage bakes."""

    daily: Report = Report(cron="0 9 * * mon-sun")
    bake: Report = Report(cron="0 * * * mon-sun")


class Reminders(Part):
    """When people are reminded of what waits for them, by at most one direct message a day: after ``at`` and before
    ``until``, on the clock of ``zone``; at the weekend only where it is said."""

    at: TimeOfDay = time(9)
    until: TimeOfDay = time(18)
    zone: Zone = "UTC"
    weekends: bool = False


class Contact(Part):
    """Whom to turn to, and what to do when that does not help."""

    role: str
    contact: str
    escalation: str = ""
    source: Source = ""


class Escalation(Part):
    """Who is named, one after the other, while nobody says to look after what is wrong.

    ``to`` are roles of the plan, or contacts by their role. ``webhook_env`` names the environment variable that holds
    the address which is told as well.
    """

    after: Annotated[Duration, Field(ge=60)] = 900
    to: Annotated[tuple[str, ...], Field(min_length=1)]
    webhook_env: Variable | None = None


class Supports(Part):
    """What becomes of policies that were widened, once the last stage has passed."""

    narrow: bool = False  # take the old runtime out of them; else they are left as they are, and listed


class Plan(Part):
    """A whole plan after ``extends`` was merged."""

    key: PlanKey
    title: Annotated[str, Field(min_length=1, max_length=80)]
    runtimes: Runtimes
    workspaces: Annotated[tuple[WorkspaceKey, ...], Field(min_length=1)]
    channel: ChannelId
    zone: Zone = "UTC"
    roles: dict[RoleKey, Role]  # in the order in which the sign-off table names them
    capabilities: Capabilities
    teams: dict[TeamKey, Team] = {}
    owner_notice: bool = True  # owners of jobs are told when a stage that changes them starts
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    limits: dict[WorkspaceKey, WorkspaceLimit] = {}
    supports: Supports = Supports()
    freezes: tuple[Freeze, ...] = ()
    shared_window: Window | None = None  # for running clusters that people work on, in stages without windows
    checklist: tuple[Item, ...] = ()
    rollback_when: tuple[Criterion, ...] = ()  # what should make somebody roll back
    summary: tuple[SummaryLine, ...] = ()
    reports: Reports = Reports()
    reminders: Reminders = Reminders()
    contacts: tuple[Contact, ...] = ()
    escalation: Escalation | None = None  # None: nobody is named beyond the first message
    override: Override | None = None  # None: nobody may

    def override_of(self, key: str) -> Override | None:
        """Who may override a condition of that stage; None: nobody. Raises KeyError."""
        own = self.stage(key).override
        return own if own is not None else self.override

    def stage(self, key: str) -> Stage:
        """The stage of that key. Raises KeyError."""
        for stage in self.stages:
            if stage.key == key:
                return stage
        raise KeyError(key)

    def before(self, key: str) -> tuple[Stage, ...]:
        """The stages that must have passed before that one."""
        keys = [s.key for s in self.stages]
        return self.stages[: keys.index(key)]

    def after(self, key: str) -> tuple[Stage, ...]:
        """The stages that come after that one."""
        keys = [s.key for s in self.stages]
        return self.stages[keys.index(key) + 1 :]
