"""What a proposed plan must know of the plan that it extends: its roles, stages, items and summary lines. Pure."""

from collections.abc import Collection
from dataclasses import dataclass

from rollout.yamlmarks import Node


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the checklist, as far as it refers to others."""

    key: str
    stage: str
    blocks: str
    part_of: str


@dataclass(frozen=True, slots=True)
class Base:
    """The outline of a plan. Mappings are from key to title, in the order of the file."""

    source: str
    target: str
    roles: dict[str, str]
    stages: dict[str, str]
    items: tuple[Item, ...]
    summary: dict[str, tuple[tuple[str, ...], tuple[str, ...]]]  # key -> items, stages


def outline(plan: Node) -> Base:
    """The outline of a marked tree; what is missing is empty."""
    runtimes = plan.get("runtimes")
    return Base(
        runtimes.get("source").text,
        runtimes.get("target").text,
        {key: role.get("title").text for key, role in plan.get("roles").entries.items()},
        {stage.get("key").text: stage.get("title").text for stage in plan.get("stages").items},
        tuple(
            Item(*(item.get(name).text for name in ("key", "stage", "blocks", "part_of")))
            for item in plan.get("checklist").items
        ),
        {
            line.get("key").text: (tuple(line.get("items").texts), tuple(line.get("stages").texts))
            for line in plan.get("summary").items
        },
    )


@dataclass(frozen=True, slots=True)
class Adapted:
    """What changes in a plan when stages are taken out of it.

    ``items``: key -> the stage that it now holds up, empty: none; ``gone_items`` and ``gone_lines`` go with the stages;
    ``lines``: key of a summary line -> what is left of its items and stages.
    """

    gone_items: tuple[str, ...]
    items: dict[str, str]
    gone_lines: tuple[str, ...]
    lines: dict[str, tuple[tuple[str, ...], tuple[str, ...]]]


def without(base: Base, kept: Collection[str]) -> Adapted:
    """Take out every stage that is not ``kept``: what belongs to it goes, what it held up holds up the next one."""
    order = list(base.stages)
    gone = {i.key for i in base.items if i.stage and i.stage not in kept}
    gone |= {i.key for i in base.items if i.part_of in gone}
    items = {
        i.key: next((s for s in order[order.index(i.blocks) :] if s in kept), "")
        for i in base.items
        if i.key not in gone and i.blocks in order and i.blocks not in kept
    }
    lines: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
    empty: list[str] = []
    for key, (of_items, of_stages) in base.summary.items():
        left = (tuple(i for i in of_items if i not in gone), tuple(s for s in of_stages if s in kept))
        if left == (of_items, of_stages):
            continue
        if any(left):
            lines[key] = left
        else:
            empty.append(key)
    return Adapted(tuple(i.key for i in base.items if i.key in gone), items, tuple(empty), lines)
