"""A Reply as the parts of a message: text and blocks, with its share button and its error id."""

from bot.render.blocks import Detail, Place, render
from bot.render.figures import Json
from bot.render.text import text_field
from commands.reply import Block, Button, Buttons, Note, Paragraph, Reply, Request

REPEATED = "(repeated: it is not known whether this was shown before)"


def document(reply: Reply, request: Request | None = None) -> tuple[Block, ...]:
    """The blocks of a reply; without any, its text. ``request`` is what a share button shares."""
    blocks: tuple[Block, ...] = reply.blocks or (Paragraph(((reply.text or "-",),)),)
    if reply.share and request is not None:
        asked = dict(request.arguments)
        wish = {"verb": request.verb, "arguments": asked} | {k: asked[k] for k in ("rollout",) if k in asked}
        shared = Button("Share", "share", wish)
        blocks = (*blocks, Buttons((shared,)))
    if reply.error_id is not None and not any(reply.error_id in str(block) for block in blocks):
        blocks = (*blocks, Note((f"error id {reply.error_id}",)))
    return blocks


def message(
    reply: Reply, detail: Detail = Detail.NATIVE, request: Request | None = None, repeated: bool = False
) -> Json:
    """``text`` and ``blocks`` for chat.postMessage and its like."""
    blocks = document(reply, request)
    text = reply.text
    if repeated:
        blocks = (Note((REPEATED,)), *blocks)
        text = f"{text} {REPEATED}"
    return {"text": text_field(text), "blocks": render(blocks, Place.MESSAGE, detail)}
