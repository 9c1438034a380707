"""A plan file becomes a plan, or a list of everything that is wrong with it. Pure: others read the files.

Also the canonical text of a plan, which is what is stored, and its digest, which is what people are shown.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Annotated, Any, Final, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from rollout.digest import canonical as canonical_json
from rollout.plan import PATTERNS, Plan
from rollout.plancheck import cross_references
from rollout.yamlmarks import Node, Problem, merge, nearest, place, read, without_nulls

__all__ = [
    "Examined",
    "PlanError",
    "Problem",
    "Resolve",
    "canonical",
    "differing_words",
    "digest",
    "examine",
    "from_canonical",
    "parse",
]

#: Gives file name and text of the plan that ``extends`` names, or None.
Resolve = Callable[[str], tuple[str, str] | None]

_EXTENDS: Final = "extends"
_SHAPES: Final = {
    "string_type": "text",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}


class PlanError(Exception):
    """A plan that cannot be used. ``problems`` are all its mistakes, by file and line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: list[Problem] = sorted(set(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def parse(text: str, name: str, resolve: Resolve, checks: Collection[str]) -> Plan:
    """The plan in ``text``, laid over the plan that it extends: see ``examine``.

    Raises PlanError with every mistake, in whichever of the files it was made.
    """
    found = examine(text, name, resolve, checks)
    if found.problems or found.plan is None:
        raise PlanError(found.problems)
    return found.plan


@dataclass(frozen=True, slots=True)
class Examined:
    """A plan as it is written: its marked tree with paths, the plan where there is one, and all its mistakes."""

    tree: Node | None
    plan: Plan | None
    problems: list[Problem]


def examine(text: str, name: str, resolve: Resolve, checks: Collection[str]) -> Examined:
    """Read a plan and look for every mistake in it, without raising.

    ``name`` is how messages call the file; ``resolve`` finds the plan that ``extends`` names; ``checks`` are the names
    of the registered checks.
    """
    tree, problems = _extended(text, name, resolve, ())
    if tree is None:
        return Examined(None, None, problems)
    tree = without_nulls(tree)
    place(tree, "")
    plan: Plan | None = None
    try:
        plan = Plan.model_validate(tree.plain())
    except ValidationError as error:
        problems += [_translate(detail, tree) for detail in error.errors(include_url=False)]
    problems += cross_references(tree, sorted(checks), name)
    if problems or plan is None:
        return Examined(tree, None, problems)
    # So that a plan is the same whether it was parsed or stored.
    return Examined(tree, from_canonical(canonical(plan)), problems)


def canonical(plan: Plan) -> str:
    """The plan as JSON text that is the same for the same plan: defaults included, keys sorted, no white space.

    The order of the roles is kept beside them, because people read sign-offs in that order.
    """
    return canonical_json({**plan.model_dump(mode="json", by_alias=True), "role_order": list(plan.roles)})


def digest(plan: Plan) -> str:
    """SHA-256 of the canonical text, in hexadecimal."""
    return hashlib.sha256(canonical(plan).encode()).hexdigest()


def from_canonical(text: str) -> Plan:
    """The plan that ``canonical`` wrote. Raises ValueError for anything else."""
    data = json.loads(text)
    if not isinstance(data, dict):
        raise ValueError("this is not the canonical text of a plan")
    order = [key for key in data.pop("role_order", ()) if key in data.get("roles", {})]
    if order:
        data["roles"] = {key: data["roles"][key] for key in [*order, *(k for k in data["roles"] if k not in order)]}
    return Plan.model_validate(data)


def differing_words(key: str, older: bool) -> str:
    """That the file of a plan is not the plan in force, and what to do; ``older``: it ruled before an amendment."""
    take = f"python app.py plan show {key} > FILE"
    if older:
        return f"The plan {key} was amended, and its configured file is still the one from before. Replace it: {take}"
    return (
        f"The file of plan {key} differs from the plan in force, which rules. To propose the file: python app.py plan "
        f"amend FILE. To take over the plan in force: {take}"
    )


def _extended(text: str, name: str, resolve: Resolve, above: tuple[str, ...]) -> tuple[Node | None, list[Problem]]:
    """The tree of a file, merged over what it extends. ``above`` are the plans that led here."""
    tree, problems = read(text, name)
    if tree is None:
        return None, problems
    if not isinstance(tree.value, dict):
        return None, [*problems, tree.problem("this is not a plan", "a mapping such as key: ..., title: ...")]
    extends = tree.value.pop(_EXTENDS, None)
    if extends is None or extends.value is None:
        return tree, problems
    found = resolve(extends.text) if extends.text and extends.text not in above else None
    if found is None:
        if extends.text in above:
            wrong = f"{extends.text!r} extends itself, by way of {', '.join(above)}"
        else:
            wrong = f"there is no plan {extends.text!r} to extend" if extends.text else "this is not the name of a plan"
        return None, [*problems, extends.problem(wrong, "the name of a plan in the directory of plans")]
    base, found_there = _extended(found[1], found[0], resolve, (*above, extends.text))
    if base is None:
        return None, problems + found_there
    return merge(base, tree), problems + found_there


def _translate(detail: ErrorDetails, tree: Node) -> Problem:
    """What the models found, in plain words, at the place where it was written."""
    kind, steps, context = detail["type"], detail["loc"], detail.get("ctx", {})
    if steps and steps[-1] == "[key]":
        steps = steps[:-1]
    node, given = tree.at(steps), detail["input"]
    said = repr(given) if isinstance(given, str) else "this"
    if kind == "missing":
        expected = _expected(steps)
        return node.problem("is missing", expected + _meant(tree, steps))
    if kind == "extra_forbidden":
        known = _words(steps[:-1])
        return node.problem(f"{str(steps[-1])!r} is not a known word here", _one_of(known, str(steps[-1])))
    if kind == "literal_error":
        words = [word.strip("'") for word in str(context["expected"]).replace(" or ", ", ").split(", ")]
        return node.problem(f"{said} is not a known word here", _one_of(words, given if isinstance(given, str) else ""))
    if kind == "string_pattern_mismatch":
        return node.problem(f"{said} cannot stand here", PATTERNS.get(context["pattern"], context["pattern"]))
    if kind == "plan":
        return node.problem(context["wrong"], context["expected"])
    if kind in _SHAPES:
        return node.problem(f"{said} is not {_SHAPES[kind]}", _SHAPES[kind])
    bounds = _bounds(kind, context)
    return node.problem(*bounds) if bounds else node.problem(f"{said} cannot be used", detail["msg"])


def _bounds(kind: str, context: dict[str, Any]) -> tuple[str, str] | None:
    match kind:
        case "greater_than_equal":
            return "this is too small", f"at least {context['ge']}"
        case "less_than_equal":
            return "this is too much", f"at most {context['le']}"
        case "string_too_long":
            return "this text is too long", f"at most {context['max_length']} characters"
        case "string_too_short":
            return "this text is empty", "a text"
        case "too_short":
            return "this list is empty", "at least one entry"
    return None


def _one_of(known: Sequence[str], word: str) -> str:
    return f"one of {', '.join(known)}{nearest(word, known)}"


def _annotation(steps: Sequence[str | int]) -> Any:
    """The type of the plan at that place; None where nothing is known."""
    kind: Any = Plan
    for step in steps:
        kind = _bare(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            info = {field.alias or name: field for name, field in kind.model_fields.items()}.get(str(step))
            if info is None:
                return None
            # pydantic takes the outermost Annotated apart; what it carried is put back as far as messages need it
            kind = Annotated[info.annotation, info] if info.annotation is not None else None
        elif get_origin(kind) in (tuple, dict):
            kind = get_args(kind)[0 if isinstance(step, int) else 1]
        else:
            return None
    return kind


def _bare(kind: Any) -> Any:
    """A type without what annotates it and without ``| None``."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    options = [option for option in get_args(kind) if option is not NoneType]
    if NoneType in get_args(kind) and len(options) == 1:
        return _bare(options[0])
    return kind


def _words(steps: Sequence[str | int]) -> list[str]:
    """The words that may stand at that place."""
    kind = _bare(_annotation(steps))
    fields = kind.model_fields if isinstance(kind, type) and issubclass(kind, BaseModel) else {}
    words = [field.alias or name for name, field in fields.items()]
    return [_EXTENDS, *words] if not steps else words


def _expected(steps: Sequence[str | int]) -> str:
    """What a field that is missing should hold."""
    kind = _annotation(steps)
    info = get_args(kind)[1] if get_origin(kind) is Annotated else None
    for constraint in getattr(info, "metadata", ()):
        if (pattern := getattr(constraint, "pattern", None)) is not None:
            return PATTERNS.get(pattern, "a value")
    bare = _bare(kind)
    if get_origin(bare) is tuple:
        return "a list"
    if get_origin(bare) is dict or (isinstance(bare, type) and issubclass(bare, BaseModel)):
        return "a mapping"
    return "a text" if bare is str else "a value"


def _meant(tree: Node, steps: Sequence[str | int]) -> str:
    """A thing that lacks something may be a misspelt change to another thing of the list: which one, if so."""
    if len(steps) < 2 or not isinstance(steps[-2], int):
        return ""
    things = tree.at(steps[:-2]).items
    key = things[steps[-2]].get("key").text
    return nearest(key, [other for thing in things if (other := thing.get("key").text) and other != key]) if key else ""
