"""The tables, by subject. Everything that is stored is imported from here."""

from storage.models.chain import ChainHead, Event
from storage.models.judgement import Assignment, Escalation, Evidence, Issue, Item, Override, SignOff
from storage.models.post import Card, HomeTab, Hook, Inbox, Outbox, OwnerNotice, Reminder, Unreminded
from storage.models.rollouts import Amendment, PlanRevision, Rollout, ScheduledStart, Stage
from storage.models.shared import Fence, GroupMember, KnownPerson, Lease
from storage.models.work import Action, Backup, Rate, Run, Target, Workspace

__all__ = [
    "Action",
    "Amendment",
    "Assignment",
    "Backup",
    "Card",
    "ChainHead",
    "Escalation",
    "Event",
    "Evidence",
    "Fence",
    "GroupMember",
    "HomeTab",
    "Hook",
    "Inbox",
    "Issue",
    "Item",
    "KnownPerson",
    "Lease",
    "Outbox",
    "Override",
    "OwnerNotice",
    "PlanRevision",
    "Rate",
    "Reminder",
    "Rollout",
    "Run",
    "ScheduledStart",
    "SignOff",
    "Stage",
    "Target",
    "Unreminded",
    "Workspace",
]
