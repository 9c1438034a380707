"""The content of a message: read from arguments or from a response payload, and held to every limit."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from sandbox.slack.api.arguments import Arguments
from sandbox.slack.blocks.check import CHARACTERS_PER_MESSAGE, characters, check_blocks
from sandbox.slack.blocks.finish import finish
from sandbox.slack.errors import Refused
from sandbox.slack.store import Json

TEXT_MAX = 40_000
EDITED_TEXT_MAX = 4_000
MARKDOWN_MAX = 12_000
ATTACHMENTS_MAX = 100
METADATA_BYTES = 16_000


@dataclass
class Content:
    """What was given; None means that it was not."""

    text: str | None = None
    blocks: list[Json] | None = None
    attachments: list[Json] | None = None
    metadata: Json | None = None
    unfurl_links: bool | None = None
    unfurl_media: bool | None = None
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, source: Arguments | dict[str, Any], edited: bool = False) -> Content:
        """Read and check; a text beyond 40,000 characters is cut (beyond 4,000 refused where a message is edited)."""
        arguments = source if isinstance(source, Arguments) else Arguments(source)
        content = cls(text=arguments.text("text"))
        content._take_markdown(arguments)
        content.blocks = content.blocks if content.blocks is not None else _blocks(arguments)
        content.attachments = _attachments(arguments)
        content.metadata = _metadata(arguments)
        content.unfurl_links, content.unfurl_media = arguments.choice("unfurl_links"), arguments.choice("unfurl_media")
        if not (content.text or "").strip() and not content.blocks and not content.attachments:
            raise Refused("no_text")
        if content.text and edited and len(content.text) > EDITED_TEXT_MAX:
            raise Refused("msg_too_long")
        if content.text and len(content.text) > TEXT_MAX:
            content.text = content.text[:TEXT_MAX]
            content.warnings.append("message_truncated")
        return content

    def _take_markdown(self, arguments: Arguments) -> None:
        """markdown_text stands alone and becomes a markdown block."""
        markdown = arguments.text("markdown_text")
        if markdown is None:
            return
        if "text" in arguments or "blocks" in arguments:
            raise Refused("markdown_text_conflict")
        if len(markdown) > MARKDOWN_MAX:
            raise Refused("msg_too_long")
        self.text = markdown
        self.blocks = finish([{"type": "markdown", "text": markdown}]) if markdown.strip() else None

    def fields(self) -> Json:
        """As fields of a new message."""
        return {
            "text": self.text or "",
            "blocks": self.blocks or [],
            "attachments": self.attachments or [],
            "metadata": self.metadata or None,
            "unfurl_links": self.unfurl_links,
            "unfurl_media": self.unfurl_media,
        }

    def changes(self) -> Json:
        """As changes of a standing message: what was not given stays, an empty array or object removes. Blocks go when
        only a text is given, since that is then shown instead of them."""
        given: Json = {"text": self.text or ""}
        if self.blocks is not None or self.text:
            given["blocks"] = self.blocks or []
        if self.attachments is not None:
            given["attachments"] = self.attachments
        if self.metadata is not None:
            given["metadata"] = self.metadata or None
        return given


def _blocks(arguments: Arguments) -> list[Json] | None:
    raw = arguments.structure("blocks", "invalid_blocks_format")
    if raw is None:
        return None
    if not isinstance(raw, list):
        raise Refused("invalid_blocks_format")
    problems = check_blocks(raw, "message")
    if problems:
        raise Refused("invalid_blocks", problems)
    if characters(raw) > CHARACTERS_PER_MESSAGE:
        raise Refused("msg_blocks_too_long")
    return finish(raw)


def _attachments(arguments: Arguments) -> list[Json] | None:
    raw = arguments.structure("attachments", "invalid_attachments")
    if raw is None:
        return None
    if not isinstance(raw, list) or not all(isinstance(entry, dict) for entry in raw):
        raise Refused("invalid_attachments")
    if len(raw) > ATTACHMENTS_MAX:
        raise Refused("too_many_attachments")
    attachments = []
    for index, entry in enumerate(raw):
        blocks = entry.get("blocks")
        if blocks is not None:
            problems = check_blocks(blocks, "message", f"/attachments/{index}/blocks")
            if problems:
                raise Refused("invalid_attachments", problems)
            entry = {**entry, "blocks": finish(blocks)}
        attachments.append(entry)
    return attachments


def _metadata(arguments: Arguments) -> Json | None:
    """{"event_type", "event_payload"}, or {} which removes; None when it was not given."""
    raw = arguments.structure("metadata", "invalid_metadata_format")
    if raw is None:
        return None
    if raw == {}:
        return {}
    fits = isinstance(raw, dict) and isinstance(raw.get("event_type"), str) and raw["event_type"]
    if not fits or not isinstance(raw.get("event_payload"), dict):
        raise Refused("invalid_metadata_format")
    if set(raw) - {"event_type", "event_payload"}:
        raise Refused("invalid_metadata_schema")
    if len(json.dumps(raw)) > METADATA_BYTES:
        raise Refused("metadata_too_large")
    return dict(raw)
