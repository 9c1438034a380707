"""All verbs: the one list from which parsing, help and buttons take them."""

from typing import Final

from commands.amendment import accept, decline, difference
from commands.approve import approve, check_reject, reject
from commands.audit import audit
from commands.call import Call
from commands.checklist import check_mark, checklist, mark, unmark
from commands.contacts import contacts
from commands.download import download
from commands.escalation import acknowledge, ask_back
from commands.flags import pause, refresh, resume
from commands.home import home
from commands.issue import check_issue, check_resolve, check_triage, issue, reopen, resolve, triage
from commands.issues import issues
from commands.item import assign, check_assign, check_item, item
from commands.override import check_override, override
from commands.override import confirm as confirm_override
from commands.override import decline as decline_override
from commands.pin import check_pin, pin
from commands.pins import unpin
from commands.plan import plan
from commands.reminders import reminders
from commands.reply import Reply
from commands.report import report
from commands.review import ask_again, recheck, revoke
from commands.rollback import check_unlock, rollback, unlock
from commands.share import share
from commands.start import cancel, check_start, start
from commands.status import status
from commands.verb import Verb


def _help(call: Call) -> Reply:
    raise AssertionError("the door answers help itself, without a rollout")


_ALL: Final = (
    Verb("home", "/rollout", "What waits for you, what you may do next, whom to ask.", "nothing", home),
    Verb(
        "status",
        "/rollout status [STAGE | TARGET]",
        "Where we are, what holds us, who must act.",
        "stage_or_target",
        status,
        detail=(
            "Of a target: what it was, what we wrote, what it is now, its backups and its last runs.",
            "Of a rolled-back stage with --compared: every target that is not as its backup says, field by field.",
        ),
    ),
    Verb(
        "plan",
        "/rollout plan [STAGE] [--managed]",
        "The dry run: every target before and after. Changes nothing.",
        "stage",
        plan,
        detail=(
            "Also what is left alone and why, what would restart, and how many calls it takes.",
            "With --managed: the exact edits that repositories need, as text to copy, and how many have arrived.",
        ),
    ),
    Verb(
        "checklist",
        "/rollout checklist [STAGE]",
        "What has to be done, by whom; what blocks the next stage comes first.",
        "stage",
        checklist,
        detail=("Tick several at once with Mark done…; Un-tick… takes it back.",),
    ),
    Verb(
        "download",
        "/rollout download [STAGE]",
        "The edits that repositories need, as a file in the channel.",
        "stage",
        download,
        act=True,
        harmless=True,
        detail=("The same as /rollout plan --managed shows; at a terminal it is printed, or written with --out FILE.",),
    ),
    Verb(
        "issues",
        "/rollout issues [STAGE | NUMBER]",
        "What was found on the way; open ones first, critical ones before others.",
        "reason",
        issues,
        detail=("With a number: everything about that one, and buttons to resolve, change or re-open it.",),
    ),
    Verb(
        "issue",
        "/rollout issue [STAGE] [title]",
        "Reports an issue; anybody may. A critical one holds its stage and what comes after.",
        "reason",
        issue,
        act=True,
        harmless=True,
        detail=("From a message: … > Report as an issue. It then points to the message.",),
        check=check_issue,
    ),
    Verb(
        "resolve",
        "/rollout resolve NUMBER",
        "Says what an issue's cause and fix were.",
        "reason",
        resolve,
        act=True,
        hidden=True,
        harmless=True,
        detail=("For its owner, and for who may start a stage.",),
        check=check_resolve,
    ),
    Verb(
        "reopen",
        "/rollout reopen NUMBER",
        "Opens an issue again.",
        "reason",
        reopen,
        act=True,
        hidden=True,
        harmless=True,
    ),
    Verb(
        "triage",
        "/rollout triage NUMBER",
        "Makes an issue critical or not, and gives it to somebody.",
        "reason",
        triage,
        act=True,
        hidden=True,
        harmless=True,
        check=check_triage,
    ),
    Verb("report", "/rollout report", "The summary as of now; Share posts it.", "nothing", report),
    Verb(
        "audit",
        "/rollout audit [STAGE]",
        "Who did what, when, from where; first whether the record is whole.",
        "stage",
        audit,
        detail=(
            "Refusals are in it. It verifies every event and every sign-off, and names the head of the chain.",
            "python app.py audit verify --head N:DIGEST compares with a head that was posted earlier.",
        ),
    ),
    Verb("contacts", "/rollout contacts", "Whom to ask, and who holds which role.", "nothing", contacts),
    Verb("help", "/rollout help [VERB]", "This list, or more about one command.", "word", _help),
    Verb(
        "start",
        "/rollout start STAGE",
        "Starts a stage, after showing exactly what it will do.",
        "stage",
        start,
        act=True,
        detail=(
            "Backs up every target, changes it, checks it. What you confirm is what starts, or nothing does.",
            "It can begin later: choose a time in the form. On a blocked stage it tries again what failed.",
        ),
        check_at=check_start,
    ),
    Verb(
        "approve",
        "/rollout approve STAGE",
        "Your sign-off for a stage in review.",
        "stage",
        approve,
        act=True,
        detail=("For people who hold one of its roles; not for the one who started it. One person counts once.",),
    ),
    Verb(
        "reject",
        "/rollout reject STAGE [reason]",
        "Says no, with a reason; it holds the stage.",
        "stage",
        reject,
        act=True,
        detail=("Until you, or another person of your role, approves it.",),
        check=check_reject,
    ),
    Verb(
        "revoke",
        "/rollout revoke STAGE",
        "Takes back your own sign-off or rejection, before the stage has passed.",
        "stage",
        revoke,
        act=True,
    ),
    Verb(
        "recheck",
        "/rollout recheck STAGE",
        "Has the checks of a stage in review look once more.",
        "stage",
        recheck,
        act=True,
        harmless=True,
        detail=("Where they find the same, what was signed counts on; else it is signed anew.",),
    ),
    Verb(
        "override",
        "/rollout override STAGE [CONDITION] [reason]",
        "Asks to pass over one unmet condition; a second person confirms.",
        "stage",
        override,
        act=True,
        detail=(
            "Only for roles that the plan names, never for required sign-offs of production; shown for ever.",
            "Without a condition: lists what is unmet. It ends when the evidence changes.",
        ),
        check=check_override,
    ),
    Verb(
        "confirm-override",
        "/rollout confirm-override",
        "Confirms an override that somebody else asked for.",
        "nothing",
        confirm_override,
        act=True,
        hidden=True,
    ),
    Verb(
        "decline-override",
        "/rollout decline-override",
        "Declines an override.",
        "nothing",
        decline_override,
        act=True,
        hidden=True,
        harmless=True,
    ),
    Verb(
        "acknowledge",
        "/rollout acknowledge STAGE",
        "Says that you look after what went wrong; nobody else is named.",
        "stage",
        acknowledge,
        act=True,
        hidden=True,
        harmless=True,
    ),
    Verb(
        "ask-rollback",
        "/rollout ask-rollback STAGE [reason]",
        "Asks those who may for a rollback.",
        "stage",
        ask_back,
        act=True,
        hidden=True,
        harmless=True,
    ),
    Verb(
        "ask-again",
        "/rollout ask-again STAGE",
        "Asks the missing roles once more.",
        "stage",
        ask_again,
        act=True,
        hidden=True,
        harmless=True,
    ),
    Verb(
        "pause",
        "/rollout pause [reason]",
        "Nothing new is begun; at once, without asking.",
        "reason",
        pause,
        act=True,
        harmless=True,
    ),
    Verb("resume", "/rollout resume", "Lets it go on.", "nothing", resume, act=True, harmless=True),
    Verb(
        "rollback",
        "/rollout rollback [STAGE | TARGET] [reason]",
        "Puts everything back from the backups.",
        "stage_or_target",
        rollback,
        act=True,
        detail=(
            "Without a name: the newest stage with changes. Of a target: puts back that one and pins it.",
            "It restores what we changed, never what somebody else changed since, and locks the stage.",
        ),
    ),
    Verb(
        "pin",
        "/rollout pin [STAGE | TARGET] [reason]",
        "Leaves a target on the old runtime, with a reason and an owner.",
        "stage_or_target",
        pin,
        act=True,
        detail=("What was changed already is put back first.", "Of a blocked stage: pins all that failed in it."),
        check=check_pin,
    ),
    Verb(
        "unpin",
        "/rollout unpin TARGET [reason]",
        "Lets a pinned target move again, with its stage or the next one that has not begun.",
        "stage_or_target",
        unpin,
        act=True,
    ),
    Verb(
        "unlock",
        "/rollout unlock STAGE [reason]",
        "Makes a rolled-back stage ready for a new try.",
        "stage",
        unlock,
        act=True,
        check=check_unlock,
    ),
    Verb(
        "accept-plan",
        "/rollout accept-plan DIGEST",
        "Accepts a change of the plan that somebody else proposed.",
        "word",
        accept,
        act=True,
        hidden=True,
        harmless=True,
    ),
    Verb(
        "decline-plan",
        "/rollout decline-plan DIGEST",
        "Declines a change of the plan.",
        "word",
        decline,
        act=True,
        hidden=True,
        harmless=True,
    ),
    Verb("amendment", "/rollout amendment", "What a change of the plan says.", "nothing", difference, hidden=True),
    Verb(
        "cancel",
        "/rollout cancel STAGE",
        "Takes back a start that waits for its time.",
        "stage",
        cancel,
        act=True,
        hidden=True,
        harmless=True,
    ),
    Verb(
        "refresh",
        "/rollout refresh",
        "Looks at the workspaces again, now.",
        "nothing",
        refresh,
        act=True,
        harmless=True,
    ),
    Verb("mark", "/rollout mark", "Ticks checklist items.", "stage", mark, act=True, hidden=True, check=check_mark),
    Verb("unmark", "/rollout unmark", "Un-ticks items.", "stage", unmark, act=True, hidden=True, check=check_mark),
    Verb(
        "item",
        "/rollout item KEY",
        "One checklist item: where it stands, its evidence, whose it is.",
        "reason",
        item,
        act=True,
        hidden=True,
        check=check_item,
    ),
    Verb(
        "assign",
        "/rollout assign",
        "Gives checklist items to somebody, until a day.",
        "stage",
        assign,
        act=True,
        hidden=True,
        harmless=True,
        check=check_assign,
    ),
    Verb(
        "reminders",
        "/rollout reminders [on | off]",
        "The daily direct message about what waits for you: how it is, and whether you want it.",
        "word",
        reminders,
        act=True,
        harmless=True,
    ),
    Verb(
        "share",
        "/rollout share",
        "Posts a look to the channel.",
        "nothing",
        share,
        act=True,
        hidden=True,
        harmless=True,
    ),
)

VERBS: Final = {verb.name: verb for verb in _ALL}
