"""The edits that a repository needs, as text to copy: exact, by target, with the place of each runtime. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Edited:
    """One target of a repository. ``fields`` are stored field changes: path, before, after."""

    name: str
    kind: str
    workspace: str
    object_id: str
    owner: str
    fields: Sequence[Mapping[str, Any]]


def description(repository: str, targets: Sequence[Edited], title: str) -> str:
    """A patch description for one repository, in the manner of YAML: what stands there, and what has to.

    Lines that begin with - are there now, those with + have to be.
    """
    owners = sorted({t.owner for t in targets})
    lines = [f"# {title}", f"# repository: {repository}", f"# owner: {', '.join(owners)}", f"# targets: {len(targets)}"]
    for target in targets:
        lines += ["", f"{target.kind}: {_quoted(target.name)}  # {target.workspace}, id {target.object_id}"]
        place = ""
        for field in target.fields:
            *where, name = (str(step) for step in field["path"])
            here = _place(where)
            if here != place:
                lines.append(f"  {here}:")
                place = here
            if field["before"] is not None:
                lines.append(f"-   {name}: {_quoted(str(field['before']))}")
            if field["after"] is not None:
                lines.append(f"+   {name}: {_quoted(str(field['after']))}")
    return "\n".join(lines) + "\n"


def _place(where: Sequence[str]) -> str:
    """``job cluster main``, ``task load``, ``for-each task load``; of a cluster: its configuration."""
    if len(where) < 3:
        return "configuration"
    array, key = where[1], where[2]
    if array == "job_clusters":
        return f"job cluster {_quoted(key)}"
    return f"{'for-each task' if 'for_each_task' in where else 'task'} {_quoted(key)}"


def _quoted(text: str) -> str:
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{"".join(c if c.isprintable() else " " for c in plain)}"'
