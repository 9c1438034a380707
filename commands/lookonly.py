"""What the door says while the bot may only look: the one refusal, and documents without what would be refused."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from commands.call import Refused, refused
from commands.reply import Block, Button, Buttons, Icon, Note, Paragraph, Reply, line
from commands.verb import Verb

#: In a sentence, for looks that have no other place for it.
SAID: Final = "Read only: nothing is started, signed or put back."


def refusal() -> Refused:
    """Why an act is refused, and what to do about it."""
    return refused(
        "read_only",
        "The bot runs read only: nothing is started, signed or put back; it looks, plans and reports.",
        "Whoever runs it takes ROLLOUT_READ_ONLY out of its settings and starts it again.",
    )


def forbids(verb: Verb) -> bool:
    """Whether a command is refused to a bot that may only look."""
    return verb.act and not verb.harmless


def shown(reply: Reply, verbs: Mapping[str, Verb]) -> Reply:
    """The same document, saying that the bot only looks, and without the buttons that would be refused."""
    blocks = [kept for block in reply.blocks if (kept := _without_acts(block, verbs)) is not None]
    if not reply.refused:
        blocks.append(Note(line(Icon("info"), f" {SAID}")))
    return replace(reply, blocks=tuple(blocks))


def _without_acts(block: Block, verbs: Mapping[str, Verb]) -> Block | None:
    def stays(button: Button) -> bool:
        verb = verbs.get(button.verb)
        return verb is None or not forbids(verb)

    if isinstance(block, Buttons):
        left = tuple(b for b in block.buttons if stays(b))
        return Buttons(left) if left else None
    if isinstance(block, Paragraph) and block.button is not None and not stays(block.button):
        return replace(block, button=None)
    return block
