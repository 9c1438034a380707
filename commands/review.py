"""``revoke STAGE``, ``recheck STAGE`` and *Ask again*: what people do with a stage in review besides signing it."""

from commands.call import Call, Refused
from commands.reply import Buttons, Icon, Paragraph, Reply, Strong, line
from commands.start import check_version
from commands.words import listed
from rollout.gates import Refuse
from storage import intents_review


def revoke(call: Call) -> Reply:
    """Take back what one said of the stage."""
    stage = call.stage
    check_version(call, stage)
    done = intents_review.revoke(call.database, call.who, call.now, call.standing.id, stage.key, call.number("version"))
    if isinstance(done, Refuse):
        raise Refused(done.reasons, stage.key)
    what = "sign-off" if done.said == "granted" else "rejection"
    following = (
        f"{stage.key} has passed: nothing else held it."
        if done.passed
        else f"/rollout approve {stage.key} signs it anew."
    )
    return _said(call, stage.key, f"Your {what} of {stage.key} is taken back.", following)


def recheck(call: Call) -> Reply:
    """Have the checks of a stage in review look once more."""
    stage = call.stage
    check_version(call, stage)
    done = intents_review.recheck(
        call.database, call.who, call.now, call.standing.id, stage.key, call.number("version")
    )
    if isinstance(done, Refuse):
        raise Refused(done.reasons, stage.key)
    following = "Where they find the same, what was signed counts on; else it is signed anew."
    return _said(call, stage.key, f"The checks of {stage.key} look once more.", following)


def ask_again(call: Call) -> Reply:
    """Ask the missing roles once more."""
    stage = call.stage
    done = intents_review.ask_again(call.database, call.who, call.now, call.standing.id, stage.key)
    if isinstance(done, Refuse):
        raise Refused(done.reasons, stage.key)
    return _said(call, stage.key, f"Asked again: {listed(done.roles)}.", "The question is in the channel.")


def _said(call: Call, stage: str, said: str, following: str) -> Reply:
    blocks = (
        Paragraph((line(Icon("ok"), " ", Strong(said)), line(following))),
        Buttons((call.button("Status", "status", stage=stage),)),
    )
    return Reply(f"{said} {following}", blocks)
