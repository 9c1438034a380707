"""Messages, dialogs and blocks as readable plain text."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from sandbox.say import figures
from sandbox.say.client import Json, blocks_of
from sandbox.say.inline import Names, mrkdwn, rich, words

CHOOSING = ("static_select", "external_select", "multi_static_select", "radio_buttons", "checkboxes", "overflow")
SHOWN_OPTIONS = 12


def blocks(items: list[Json], names: Names, values: Json | None = None, errors: Json | None = None) -> list[str]:
    """Blocks -> lines, one empty line around headers and figures."""
    lines: list[str] = []
    for block in items:
        made = _block(block, names, values or {}, errors or {})
        if (
            made
            and lines
            and block.get("type") in ("header", "table", "data_table", "data_visualization", "actions", "input")
        ):
            lines.append("")
        lines.extend(made)
    return lines


def _block(block: Json, names: Names, values: Json, errors: Json) -> list[str]:
    kind = block.get("type")
    if kind == "header":
        title = words(block.get("text"), names)
        return [title, "=" * figures.width(title)]
    if kind == "section":
        return _section(block, names, values)
    if kind == "context":
        parts = [
            f"[image: {e.get('alt_text', '')}]" if e.get("type") == "image" else words(e, names)
            for e in block["elements"]
        ]
        return "  ".join(parts).split("\n")
    if kind == "divider":
        return ["-" * 40]
    if kind in ("actions", "context_actions"):
        return ["  ".join(element(e, names, _held(values, block, e)) for e in block.get("elements") or [])]
    if kind == "input":
        return _input(block, names, values, errors)
    if kind == "rich_text":
        return rich(block.get("elements") or [], names)
    if kind == "markdown":
        return str(block.get("text", "")).replace("**", "").split("\n")
    if kind in ("table", "data_table"):
        caption = words(block.get("caption"), names)
        return [*([caption] if caption else []), *figures.table(block, names)]
    if kind == "data_visualization":
        return figures.chart(block, names)
    if kind == "image":
        title = words(block.get("title"), names)
        return [f"[image: {title + ': ' if title else ''}{block.get('alt_text', '')}]"]
    return [words(block.get("text"), names)] if block.get("text") else [f"[{kind}]"]


def _section(block: Json, names: Names, values: Json) -> list[str]:
    lines = words(block.get("text"), names).split("\n") if block.get("text") else []
    lines.extend(field(item, names) for item in block.get("fields") or [])
    accessory = block.get("accessory")
    if accessory:
        made = element(accessory, names, _held(values, block, accessory))
        if len(lines) == 1:
            lines[0] += f"  {made}"
        else:
            lines.append(made)
    return lines


def field(item: Json, names: Names) -> str:
    """One field of a section: a bold first line becomes a caption."""
    text = words(item, names)
    first = str(item.get("text", "")).split("\n")[0].strip()
    if text.count("\n") == 1 and first.startswith("*") and first.endswith("*"):
        return ": ".join(
            part.strip().rstrip(":") if i == 0 else part.strip() for i, part in enumerate(text.split("\n"))
        )
    return text


def _held(values: Json, block: Json, item: Json) -> Json:
    held = (values.get(str(block.get("block_id"))) or {}).get(str(item.get("action_id")))
    return dict(held or {})


def label(option: Json, names: Names) -> str:
    """The text of an option."""
    return words(option.get("text"), names)


def options(item: Json) -> list[Json]:
    """All options of an element, of its groups too."""
    found = list(item.get("options") or [])
    for group in item.get("option_groups") or []:
        found.extend(group.get("options") or [])
    return found


def value(item: Json, held: Json, names: Names) -> str:
    """What an element holds now, as words; empty when nothing was chosen."""
    for key in ("value", "selected_date", "selected_time"):
        if item.get("type") != "button" and held.get(key) is not None:
            return str(held[key])
    if item.get("type") == "datetimepicker":
        moment = held.get("selected_date_time") if held else item.get("initial_date_time")
        return f"{datetime.fromtimestamp(int(moment), UTC):%Y-%m-%d %H:%M} UTC" if moment else ""
    many = held.get("selected_options", item.get("initial_options") if not held else None)
    if many:
        return ", ".join(label(option, names) for option in many)
    one = held.get("selected_option", item.get("initial_option") if not held else None)
    if one:
        return label(one, names)
    people = held.get("selected_users") or [held.get("selected_user")]
    if any(people):
        return ", ".join(names.user(str(person)) for person in people)
    if held:
        chosen = held.get("selected_channel") or held.get("selected_conversation")
        return "#" + names.channel(str(chosen)) if chosen else ""
    return str(next((v for k, v in item.items() if k.startswith("initial_") and v), ""))


def _choices(item: Json, names: Names) -> str:
    found = [label(option, names) for option in options(item)]
    if item.get("type", "").endswith("users_select"):
        found = list(names.keys)
    if not found:
        return ""
    more = f" | ... {len(found) - SHOWN_OPTIONS} more" if len(found) > SHOWN_OPTIONS else ""
    return f"({' | '.join(found[:SHOWN_OPTIONS])}{more})"


def element(item: Json, names: Names, held: Json) -> str:
    """One interactive element in a row: [Button], [Choice: value (options)]."""
    kind = item.get("type")
    if kind in ("button", "workflow_button"):
        url = f" {item['url']}" if item.get("url") else ""
        return f"[{words(item.get('text'), names)}]{url}"
    if kind == "image":
        return f"[image: {item.get('alt_text', '')}]"
    if kind == "overflow":
        return "  ".join(f"[{label(option, names)}]" for option in options(item))
    name = words(item.get("placeholder"), names) or str(item.get("action_id", kind))
    return f"[{name}: {value(item, held, names) or '___'} {_choices(item, names)}".rstrip() + "]"


def _input(block: Json, names: Names, values: Json, errors: Json) -> list[str]:
    item = block.get("element") or {}
    optional = " (optional)" if block.get("optional") else ""
    shown = value(item, _held(values, block, item), names) or "___"
    lines = [f"{words(block.get('label'), names)}{optional}: {shown} {_choices(item, names)}".rstrip()]
    if block.get("hint"):
        lines.append(f"    {words(block['hint'], names)}")
    problem = errors.get(str(block.get("block_id")))
    if problem:
        lines.append(f"  ! {words(str(problem), names)}")
    return lines


def message(item: Json, names: Names) -> list[str]:
    """A message: its blocks, or its text where it has none."""
    if blocks_of(item):
        state = (item.get("state") or {}).get("values")
        return blocks(blocks_of(item), names, state)
    return mrkdwn(str(item.get("text") or ""), names).split("\n")


def view(item: Json, names: Names, errors: Json | None = None) -> list[str]:
    """A dialog or Home tab: title, body, buttons."""
    title = words(item.get("title"), names)
    lines = [title, "-" * figures.width(title)] if title else []
    values = (item.get("state") or {}).get("values") or {}
    lines.extend(blocks(blocks_of(item), names, values, errors or item.get("errors") or {}))
    if item.get("type") == "modal":
        lines.extend(["", "  ".join(f"[{name}]" for name in view_buttons(item, names).values())])
    return lines


def view_buttons(item: Json, names: Names) -> dict[str, str]:
    """The buttons in the foot of a dialog: {"submit": text, "close": text}."""
    found = {"submit": words(item["submit"], names)} if item.get("submit") else {}
    if not found and any(block.get("type") == "input" for block in blocks_of(item)):
        found["submit"] = "Submit"
    return {**found, "close": words(item["close"], names) if item.get("close") else "Cancel" if found else "Close"}


def heading(item: Json, names: Names) -> str:
    """Who said a message and when, for a channel that is read."""
    who = f"{names.bot} (app)" if item.get("bot") else names.user(str(item.get("user")))
    marks = [", only visible to you" if item.get("ephemeral") else "", ", edited" if item.get("edited") else ""]
    return f"{who}, {time.strftime('%H:%M', time.localtime(float(item['ts'])))}{''.join(marks)}:"
