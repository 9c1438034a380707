"""A plan as the text of a plan file that reads as this very plan. Pure."""

from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import BaseModel

from rollout.plan import Plan
from rollout.planfields import seconds

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def file_text(plan: Plan) -> str:
    """The whole plan as YAML, without what it leaves at its default; it extends nothing."""
    written = plan.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    _units(plan, written)
    return yaml.safe_dump(written, sort_keys=False, allow_unicode=True, width=110)


def _units(value: Any, written: Any) -> None:
    """Durations are written with their units, because a file does not take a bare number."""
    if isinstance(value, BaseModel):
        for name, info in type(value).model_fields.items():
            key, inner = info.alias or name, getattr(value, name)
            if not isinstance(written, dict) or key not in written:
                continue
            if _is_duration(type(value), name) and isinstance(inner, int):
                written[key] = duration(inner)
            else:
                _units(inner, written[key])
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            _units(inner, written.get(key) if isinstance(written, dict) else None)
    elif isinstance(value, tuple | list) and isinstance(written, list):
        for inner, there in zip(value, written, strict=True):
            _units(inner, there)


def duration(total: int) -> str:
    """``1d12h`` for a number of seconds; ``0`` for none."""
    parts = []
    for size, unit in _UNITS:
        number, total = divmod(total, size)
        parts += [f"{number}{unit}"] if number else []
    return "".join(parts) or "0"


def _is_duration(model: type[BaseModel], name: str) -> bool:
    info = model.model_fields[name]
    marks = [*info.metadata, *getattr(info.annotation, "__metadata__", ())]
    for option in getattr(info.annotation, "__args__", ()):
        marks += getattr(option, "__metadata__", ())
    return any(getattr(mark, "func", None) is seconds for mark in marks)
