"""Writes the pages that say what the code says: commands, reason codes, and the fields of a plan.

`make docs` writes them; a test fails while one of them is not what it would write.
"""

import ast
import inspect
import re
import sys
import textwrap
import tokenize
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any, get_args, get_origin

if __name__ == "__main__":  # run as a file: the rooms are beside this folder
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pydantic.fields import FieldInfo

from commands.grammar import ALIASES
from commands.registry import VERBS
from rollout import plan, reasons
from rollout.plan import Part, Plan

HERE = Path(__file__).resolve().parent
BEGIN, END = "<!-- generated: make docs -->", "<!-- generated: end -->"

#: What may be in a key is said in the text of the page.
_KEYS = {
    "RoleKey": "a role",
    "StageKey": "a stage",
    "ItemKey": "an item",
    "TeamKey": "a team",
    "WorkspaceKey": "a workspace",
}
#: How the values of the small types are written in a plan.
_WRITTEN = {
    "Duration": "duration: `90m`, `2h`, `1d12h`, `0`",
    "TimeOfDay": 'time: `"06:00"`',
    "Moment": "moment: `2026-12-24 18:00`",
    "Limit": "number or per cent: `3`, `5%`",
    "Zone": "IANA zone: `Europe/Berlin`",
    "Cron": 'cron, weekdays by name: `"0 9 * * mon-fri"`',
}


def pages() -> dict[Path, str]:
    """Page -> what it should hold."""
    return {
        HERE / "commands.md": _around(HERE / "commands.md", commands()),
        HERE / "reasons.md": _around(HERE / "reasons.md", codes()),
        HERE / "plans.md": _around(HERE / "plans.md", fields()),
    }


def _around(page: Path, made: str) -> str:
    """The page with its generated part replaced. Raises ValueError for a page without the two marks."""
    text = page.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise ValueError(f"{page.name} has no place for what is generated")
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{made}\n{END}{rest.partition(END)[2]}"


# -- commands ----------------------------------------------------------------------------------------------------------


def commands() -> str:
    """A table of the commands, and one of what else may be typed for them."""
    shown = [verb for verb in VERBS.values() if not verb.hidden]
    lines = []
    for title, acts in (("Looks", False), ("Acts", True)):
        lines += [f"## {title}", "| type | what it does |", "| --- | --- |"]
        for verb in shown:
            if verb.act == acts:
                detail = "".join(f"<br>{_cell(text)}" for text in verb.detail)
                lines.append(f"| `{_cell(verb.usage)}` | {_cell(verb.summary)}{detail} |")
        lines.append("")
    lines += ["## Other words for them", "| you may also type | it means |", "| --- | --- |"]
    meant: dict[str, list[str]] = {}
    for alias, name in ALIASES.items():
        meant.setdefault(name, []).append(alias)
    lines += [f"| {', '.join(f'`{a}`' for a in aliases)} | `{name}` |" for name, aliases in meant.items()]
    return "\n".join(lines)


# -- reason codes ------------------------------------------------------------------------------------------------------


def codes() -> str:
    """A table of the reason codes under the headings that their list has."""
    lines: list[str] = []
    for heading, found in _groups():
        lines += [f"## {heading}", "| code | what it means |", "| --- | --- |"]
        lines += [f"| `{code}` | {_cell(reasons.CODES[code])} |" for code in found]
        lines.append("")
    return "\n".join(lines).rstrip()


def _groups() -> Iterator[tuple[str, list[str]]]:
    """Heading -> codes: the comments between the entries of the list are its headings."""
    heading, found = "", []
    for line in inspect.getsource(reasons).splitlines():
        comment, entry = re.fullmatch(r"    # (.+)", line), re.match(r'    "([a-z0-9_]+)":', line)
        if comment:
            if found:
                yield heading, found
            heading, found = comment[1].capitalize(), []
        elif entry and entry[1] in reasons.CODES:
            found.append(entry[1])
    yield heading, found


# -- plans -------------------------------------------------------------------------------------------------------------


def fields() -> str:
    """A table of fields for each part of a plan, the plan itself first."""
    lines: list[str] = []
    for part in _reached(Plan):
        says = " ".join((inspect.getdoc(part) or "").split())
        lines += [f"### {part.__name__}", says, "", "| field | what | default |", "| --- | --- | --- |"]
        comments = _comments(part)
        for name, field in part.model_fields.items():
            about = f"<br>{_cell(comments[name])}" if comments.get(name) else ""
            lines.append(f"| `{field.alias or name}` | {_cell(_type(part, name))}{about} | {_cell(_default(field))} |")
        lines.append("")
    return "\n".join(lines).rstrip()


def _reached(part: type[Part], seen: dict[type[Part], None] | None = None) -> list[type[Part]]:
    """A part and all that it is made of, each once, in the order in which a reader meets them."""
    seen = {} if seen is None else seen
    if part in seen:
        return list(seen)
    seen[part] = None
    for field in part.model_fields.values():
        for inner in _parts(field.annotation):
            _reached(inner, seen)
    return list(seen)


def _parts(annotation: Any) -> Iterator[type[Part]]:
    if isinstance(annotation, type) and issubclass(annotation, Part):
        yield annotation
    for inner in get_args(annotation):
        yield from _parts(inner)


def _annotations(part: type[Part]) -> dict[str, ast.expr]:
    """Field -> its annotation as the source has it, inherited ones too."""
    found: dict[str, ast.expr] = {}
    for owner in reversed([c for c in part.__mro__ if isinstance(c, type) and issubclass(c, Part)]):
        body = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
        assert isinstance(body, ast.ClassDef)
        for line in body.body:
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                found[line.target.id] = line.annotation
    return found


def _type(part: type[Part], name: str) -> str:
    """The type of a field in words of a plan's writer."""
    return _named(_annotations(part)[name])


def _named(node: ast.expr) -> str:
    match node:
        case ast.Constant(None):
            return ""
        case ast.Name(id=name):
            return _name(name)
        case ast.BinOp(left=left, right=right):
            return " or ".join(text for text in (_named(left), _named(right)) if text)
        case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[first, *_])):
            return _named(first)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=inner):
            options = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            return ", ".join(f"`{o.value}`" for o in options if isinstance(o, ast.Constant))
        case ast.Subscript(value=ast.Name(id="tuple"), slice=ast.Tuple(elts=[first, *_])):
            return f"list of {_named(first)}"
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[key, value])):
            return f"{_named(key)} → {_named(value)}"
    return ast.unparse(node)


def _name(name: str) -> str:
    if name in _KEYS:
        return f"key of {_KEYS[name]}"
    if name in _WRITTEN:
        return _WRITTEN[name]
    found = getattr(plan, name, None)
    if isinstance(found, type) and issubclass(found, Part):
        return f"[{name}](#{name.lower()})"
    if get_origin(found) is not None and found is not None:
        if described := [m.description for m in get_args(found)[1:] if isinstance(m, FieldInfo) and m.description]:
            return described[0]
        options = get_args(found)
        if all(isinstance(o, str) for o in options):
            return ", ".join(f"`{o}`" for o in options)
    return {
        "str": "text",
        "Title": "text",
        "Sentence": "text",
        "Source": "text",
        "int": "number",
        "float": "number",
        "bool": "`true` or `false`",
    }.get(name, name)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    value = field.default
    if value in (None, (), "", {}):
        return ""
    if isinstance(value, Part):
        given = value.model_dump(mode="json", exclude_defaults=True)
        return f"`{given}`" if given else ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return ", ".join(f"`{entry}`" for entry in value)
    return f"`{value}`"


def _comments(part: type[Part]) -> dict[str, str]:
    """Field -> the comment beside it, or the lines of `#:` above it."""
    found: dict[str, str] = {}
    for owner in reversed([c for c in part.__mro__ if isinstance(c, type) and issubclass(c, Part)]):
        source = textwrap.dedent(inspect.getsource(owner))
        beside = {
            token.start[0]: token.string
            for token in tokenize.generate_tokens(StringIO(source).readline)
            if token.type == tokenize.COMMENT
        }
        body = ast.parse(source).body[0]
        assert isinstance(body, ast.ClassDef)
        for line in body.body:
            if not isinstance(line, ast.AnnAssign) or not isinstance(line.target, ast.Name):
                continue
            above, row = [], line.lineno - 1
            while (text := beside.get(row, "")).startswith("#:"):
                above.insert(0, text)
                row -= 1
            said = " ".join([*above, beside.get(line.end_lineno or 0, "")])
            if said := re.sub(r"#:? ?", "", said).strip():
                found[line.target.id] = said
    return found


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main() -> int:
    """Write the pages."""
    for page, text in pages().items():
        page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
