"""Whether the parts of a plan fit each other: every name that one part says exists in the other.

Looks at the marked tree rather than at the models, and passes over whatever has the wrong shape, so that a plan which
the models refuse is still told everything else that is wrong with it.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from rollout import teamcheck
from rollout.disguise import disguised
from rollout.people import unfilled
from rollout.yamlmarks import Node, Problem, nearest

_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(?::(\d\d))?", re.ASCII)
_RELEASE: Final = re.compile(r"\d{1,2}\.\d{1,2}", re.ASCII)
_CLOCK: Final = re.compile(r"\d\d:\d\d(?::\d\d)?", re.ASCII)
#: What the models read as false.
_NO: Final = frozenset({"false", "no", "off", "n", "f", "0"})


def cross_references(plan: Node, checks: Collection[str], file: str) -> Iterator[Problem]:
    """All mistakes between the parts of a merged plan.

    ``plan`` has its paths set; ``checks`` are the names of the registered checks; ``file`` is the plan that was asked
    for, where what an extended plan leaves open is to be filled in.
    """
    yield from disguised(plan)
    yield from _runtimes(plan)
    yield from _unknown_words(plan, checks)
    yield from _roles(plan, file)
    for stage in plan.get("stages").items:
        yield from _sign_offs(stage, plan.get("roles"))
        yield from _windows(stage.get("windows").items)
    yield from _windows([plan.get("shared_window")])
    yield from _overrides(plan)
    yield from _escalation(plan)
    yield from _freezes(plan)
    yield from _reminders(plan.get("reminders"))
    yield from _selections(plan, file)
    yield from teamcheck.problems(plan, file)
    yield from _items(plan)
    yield from _repeats(plan)


def _keys(things: Node) -> list[str]:
    return [key for thing in things.items if (key := thing.get("key").text)]


def _one_of(what: str, known: Collection[str], word: str = "") -> str:
    listed = f"one of {', '.join(known)}" if 0 < len(known) <= 12 else f"the name of a {what} that there is"
    return listed + nearest(word, known)


def _runtimes(plan: Node) -> Iterator[Problem]:
    runtimes = plan.get("runtimes")
    source, target, fallback = (runtimes.get(key) for key in ("source", "target", "fallback"))
    if source.text and source.text == target.text:
        yield target.problem(f"{target.text} is the source as well", "a release other than the source")
    elif all(_RELEASE.fullmatch(node.text) for node in (source, target)) and _order(target) < _order(source):
        yield target.problem(f"{target.text} is older than the source {source.text}", f"a release after {source.text}")
    if fallback.text and fallback.text in (source.text, target.text):
        yield fallback.problem(f"{fallback.text} is the source or the target", "a third release, or none")


def _order(release: Node) -> list[int]:
    return [int(number) for number in release.text.split(".")]


def _unknown_words(plan: Node, checks: Collection[str]) -> Iterator[Problem]:
    """Everything that is called by a name which nothing bears."""
    stages, items = plan.get("stages"), plan.get("checklist")
    roles, stage_keys, item_keys = list(plan.get("roles").entries), _keys(stages), _keys(items)
    workspaces = plan.get("workspaces").texts

    def unknown(what: str, nodes: Iterable[Node], known: Collection[str]) -> Iterator[Problem]:
        for node in nodes:
            if node.text and node.text not in known:
                yield node.problem(f"there is no {what} {node.text!r}", _one_of(what, known, node.text))

    for word in plan.get("capabilities").entries.values():
        yield from unknown("role", word.items, roles)
    for stage in stages.items:
        yield from unknown("workspace", stage.get("targets").get("workspaces").items, workspaces)
        for role, count in stage.get("sign_offs").entries.items():
            if role not in roles:
                yield count.problem(f"there is no role {role!r}", _one_of("role", roles, role))
    for item in items.items:
        yield from unknown("role", item.get("attest").items, roles)
        yield from unknown("stage", [item.get("stage"), item.get("blocks")], stage_keys)
        yield from unknown("item", [item.get("part_of")], item_keys)
    for line in plan.get("summary").items:
        yield from unknown("item", line.get("items").items, item_keys)
        yield from unknown("stage", line.get("stages").items, stage_keys)
    for workspace, limit in plan.get("limits").entries.items():
        if workspace not in workspaces:
            yield limit.problem(f"there is no workspace {workspace!r}", _one_of("workspace", workspaces, workspace))
    criteria = chain.from_iterable(stage.get("criteria").items for stage in stages.items)
    for thing in chain(items.items, criteria, plan.get("rollback_when").items):
        named = thing.get("check")
        yield from unknown("check", [named], checks)
        if thing.get("by").text == "check" and not named.text:
            yield thing.problem("it is done by a check, but by which is not said", f"check: {_one_of('check', checks)}")
        elif thing.get("by").text != "check" and named.text:
            yield named.problem("a check is named, but it is not done by a check", "by: check, or no check")
        counted = thing.get("issues")
        if thing.get("by").text == "issues" and not counted.text:
            yield thing.problem("it is done by issues, but by which is not said", "issues: critical, data or all")
        elif thing.get("by").text != "issues" and counted.text:
            yield counted.problem("issues are named, but it is not done by them", "by: issues, or no issues")


def _roles(plan: Node, file: str) -> Iterator[Problem]:
    """Roles that something waits for, and that nobody holds."""
    wanted: dict[str, list[str]] = {}
    for what, able in plan.get("capabilities").entries.items():
        for key in able.texts:
            wanted.setdefault(key, []).append(f"may {what.replace('rollback', 'roll back')}")
        if not able.items:
            yield able.problem("nobody may do this", "at least one role")
    for stage in plan.get("stages").items:
        for key in stage.get("sign_offs").entries:
            wanted.setdefault(key, []).append(f"signs {stage.get('key').text}")
    for thing in [plan, *plan.get("stages").items]:
        for word in ("role", "second"):
            wanted.setdefault(thing.get("override").get(word).text, []).append("overrides")
    for item in plan.get("checklist").items:
        for key in item.get("attest").texts:
            wanted.setdefault(key, []).append("attests items")
    for key, role in plan.get("roles").entries.items():
        if role.value is None or isinstance(role.value, dict):
            reasons = list(dict.fromkeys(wanted.get(key, ())))
            holders = [role.get("members"), role.get("groups")]
            if reasons and not any(node.items for node in holders):
                place = next((node for node in holders if node.value is not None), holders[0])
                yield place.problem(
                    f"nobody holds this role, which {', '.join(reasons)}",
                    f"user ids as {role.path}.members, or group ids as {role.path}.groups, in {file}",
                )


def _sign_offs(stage: Node, roles: Node) -> Iterator[Problem]:
    """Sign-offs that can never be given. Who is in a group is known to Slack only: groups are taken to suffice."""
    sign_offs = stage.get("sign_offs")
    if isinstance(sign_offs.value, dict) and not sign_offs.value:
        yield sign_offs.problem("nobody has to sign this stage", "at least one role and how many sign, such as qa: 1")
    required: dict[str, int] = {}
    holders: dict[str, list[str]] = {}
    short = False
    for key, count in sign_offs.entries.items():
        # What is not a number from 1 to 99 is refused by the models, and counts nothing here.
        role, wanted = roles.get(key), int(count.text) if count.text.isdecimal() and len(count.text) < 3 else 0
        people = sorted(set(role.get("members").texts))
        if role.get("groups").items or not people:
            continue
        if wanted > len(people):
            short = True
            have = f"{len(people)} member{'' if len(people) == 1 else 's'}"
            yield count.problem(f"{wanted} have to sign as {key}, which has {have}", f"at most {len(people)}")
        required[key], holders[key] = wanted, people
    if not short and (left := unfilled(required, holders)):
        yield sign_offs.problem(
            f"one person counts once, so that nobody is left to sign as {' and '.join(left)}",
            "enough different people for all the roles that sign",
        )


def _overrides(plan: Node) -> Iterator[Problem]:
    """Overrides that nobody could ask for or confirm, and those of what is never passed over."""
    stages, roles = plan.get("stages").items, plan.get("roles")
    for override in [plan.get("override"), *(stage.get("override") for stage in stages)]:
        for word in ("role", "second"):
            named = override.get(word)
            if named.text and named.text not in roles.entries:
                yield named.problem(
                    f"there is no role {named.text!r}", _one_of("role", list(roles.entries), named.text)
                )
        asking, second = (roles.get(override.get(word).text) for word in ("role", "second"))
        people = {*asking.get("members").texts, *second.get("members").texts}
        grouped = asking.get("groups").items or second.get("groups").items
        if asking.entries and second.entries and len(people) < 2 and not grouped:
            yield override.get("second").problem(
                "one person alone holds both roles, and an override takes two", "roles with two different people"
            )
    for stage in stages:
        own = stage.get("override") if stage.get("override").value is not None else plan.get("override")
        if stage.get("production").text.lower() in _NO:
            continue
        for covered in own.get("covers").items:
            if covered.text == "sign-offs":
                yield covered.problem(
                    f"{stage.get('key').text} is a production stage, and its required sign-offs are never overridden",
                    "verdicts or items; or production: false at a stage that is none, with an override of its own",
                )


def _escalation(plan: Node) -> Iterator[Problem]:
    """Those who are to be named must be roles that somebody holds, or contacts."""
    contacts = [c.get("role").text for c in plan.get("contacts").items if c.get("role").text]
    roles = list(plan.get("roles").entries)
    for named in plan.get("escalation").get("to").items:
        if named.text and named.text not in roles and named.text not in contacts:
            yield named.problem(
                f"{named.text!r} is neither a role nor a contact of this plan",
                f"one of {', '.join([*roles, *contacts])}",
            )


def _freezes(plan: Node) -> Iterator[Problem]:
    for freeze in plan.get("freezes").items:
        begin, end = (_MOMENT.fullmatch(freeze.get(word).text) for word in ("from", "to"))
        if begin and end and end.groups("00") <= begin.groups("00"):
            yield freeze.get("to").problem("this freeze ends before it begins", "a moment after `from`")


def _reminders(reminders: Node) -> Iterator[Problem]:
    """A day in which nobody is ever reminded. What is left out has the defaults of ``rollout.plan.Reminders``."""
    at, until = reminders.get("at").text or "09:00", reminders.get("until").text or "18:00"
    if _CLOCK.fullmatch(at) and _CLOCK.fullmatch(until) and until <= at:
        place = reminders.get("until") if reminders.get("until").text else reminders.get("at")
        yield place.problem("reminders would end before they begin", "an `until` after `at` on the same day")


def _windows(windows: Iterable[Node]) -> Iterator[Problem]:
    for window in windows:
        start, end = window.get("start"), window.get("end")
        if start.text and start.text.removesuffix(":00") == end.text.removesuffix(":00"):
            yield end.problem("this window never opens: it ends when it starts", "an end other than the start")


def _selections(plan: Node, file: str) -> Iterator[Problem]:
    """Stages that are left nothing, because earlier ones take everything in the same workspaces; and two stages that
    name the same target."""
    taken: dict[tuple[str, str], Node] = {}
    named: dict[tuple[str, str, str, str], Node] = {}
    for stage in plan.get("stages").items:
        targets = stage.get("targets")
        mine = _slots(targets)
        if mine and all(slot in taken for slot in mine):
            before = taken[mine[0]]
            yield before.get("targets").problem(
                f"{before.get('key').text} takes everything in {', '.join(targets.get('workspaces').texts)}, so that "
                f"{stage.get('key').text} is left nothing",
                f"names or patterns as {before.path}.targets.names, in {file}",
            )
        yield from _named_twice(stage, mine, named)
        if _takes_everything(targets):
            for slot in mine:
                taken.setdefault(slot, stage)


def _slots(targets: Node) -> list[tuple[str, str]]:
    kinds = targets.get("kinds").texts or ["cluster", "job"]
    return [(workspace, kind) for workspace in targets.get("workspaces").texts for kind in kinds]


def _takes_everything(targets: Node) -> bool:
    exclude, names = targets.get("exclude"), targets.get("names")
    narrowed = any(targets.get(word).items for word in ("tags", "owners", "ids"))
    excludes = exclude.items or any(word.items for word in exclude.entries.values())
    return not excludes and not narrowed and (not names.items or "*" in names.texts)


def _named_twice(
    stage: Node, mine: Sequence[tuple[str, str]], named: dict[tuple[str, str, str, str], Node]
) -> Iterator[Problem]:
    """What can be said beforehand: one word of a selection, without exclusions, names the same in two stages."""
    targets = stage.get("targets")
    words = [word for word in ("names", "tags", "owners", "ids") if targets.get(word).items]
    if len(words) != 1 or targets.get("exclude").value:
        return
    said: set[str] = set()
    for entry in targets.get(words[0]).items:
        if not entry.text or entry.text == "*" or entry.text in said:
            continue
        said.add(entry.text)
        for slot in mine:
            before = named.setdefault((*slot, words[0], entry.text), stage)
            if before is not stage:
                yield entry.problem(
                    f"{before.get('key').text} selects {entry.text!r} in {slot[0]} as well, and one target belongs to "
                    "one stage",
                    "it in one of the two stages",
                )
                break


def _items(plan: Node) -> Iterator[Problem]:
    """Items that would hold up their own stage, or an earlier one, for ever; and lines that are part of a part."""
    order = {key: index for index, key in enumerate(_keys(plan.get("stages")))}
    parts = {i.get("key").text for i in plan.get("checklist").items if i.get("part_of").text}
    for item in plan.get("checklist").items:
        stage, blocks, whole = item.get("stage"), item.get("blocks"), item.get("part_of")
        if stage.text in order and blocks.text in order and order[blocks.text] <= order[stage.text]:
            yield blocks.problem(
                f"it belongs to {stage.text} and holds up {blocks.text}, which comes first or is the same",
                f"a stage after {stage.text}, or none",
            )
        if blocks.text and item.get("required").text.lower() in _NO:
            yield blocks.problem(
                f"it is not required, so that it cannot hold up {blocks.text}", "required: true, or blocks: null"
            )
        if blocks.text and item.get("by").text in ("check", "action"):
            yield blocks.problem(
                f"it holds up {blocks.text}, but the bot does it once a stage runs, and nobody can tick it before",
                "by: person, or blocks: null",
            )
        if whole.text in parts or (whole.text and whole.text == item.get("key").text):
            yield whole.problem(f"{whole.text!r} is itself part of a line", "a whole line of the checklist")


def _repeats(plan: Node) -> Iterator[Problem]:
    """Values that stand twice in a list that is a set."""
    lists: list[Callable[[], Iterable[Node]]] = [
        lambda: [plan.get("workspaces"), *plan.get("capabilities").entries.values()],
        lambda: (role.get(key) for role in plan.get("roles").entries.values() for key in ("members", "groups")),
        lambda: (team.get("members") for team in plan.get("teams").entries.values()),
        lambda: (
            team.get("select").get(key) for team in plan.get("teams").entries.values() for key in ("workspaces", "ids")
        ),
        lambda: (s.get("targets").get(key) for s in plan.get("stages").items for key in ("workspaces", "kinds", "ids")),
        lambda: (w.get("days") for s in plan.get("stages").items for w in s.get("windows").items),
        lambda: (item.get("attest") for item in plan.get("checklist").items),
    ]
    for values in chain.from_iterable(each() for each in lists):
        seen: set[str] = set()
        for value in values.items:
            if value.text and value.text in seen:
                yield value.problem(f"{value.text!r} is there twice", "each once")
            seen.add(value.text)
