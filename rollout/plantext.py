"""A proposal as a plan file: YAML that the plan check accepts, with the reasons as comments. Pure."""

import textwrap
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from rollout import placeholders, planbase
from rollout.firstlook import Seen, left_alone, teams
from rollout.planbase import Base
from rollout.propose import Proposal, ProposedStage
from rollout.proposeteams import proposed
from rollout.reasons import CODES

_WIDTH: Final = 118
_MOST: Final = 15
_EXAMPLES: Final = 3
_IN: Final = "  "


def render(proposal: Proposal, base: Base, extends: str, now: datetime) -> str:
    """The whole file. ``base`` is the outline of the plan that it ``extends``."""
    kept = [stage.key for stage in proposal.stages]
    parts = [
        _head(proposal, base, now),
        [
            f"extends: {extends}",
            f"key: rollout-{base.target}",
            f"title: Databricks Runtime {base.source} LTS to {base.target} LTS",
            f"channel: {placeholders.CHANNEL} # the Slack channel of the rollout: its id, not its name",
            "zone: UTC # of days and reports, such as Europe/Berlin",
            f"workspaces: [{', '.join(_workspaces(proposal))}]",
        ],
        _roles(base),
        _teams(proposal),
        _stages(proposal, base),
        _adapted(base, kept),
    ]
    return "\n".join("\n".join(part) + "\n" for part in map(list, parts) if part)


def plain(text: str, most: int = 120) -> str:
    """A name of the outside world on one line of a comment: nothing in it can end the comment or hide."""
    line = "".join(c if c.isprintable() else " " for c in text)
    line = " ".join(line.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def quoted(text: str) -> str:
    """A text in double quotes, as YAML reads it back whatever is in it."""
    return '"' + "".join(_escaped(char) for char in text) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    return char if char.isprintable() else f"\\U{ord(char):08X}"


def _comment(text: str, indent: str = "", inside: str = "") -> list[str]:
    return textwrap.wrap(
        plain(text, 2000),
        _WIDTH,
        initial_indent=f"{indent}# {inside}",
        subsequent_indent=f"{indent}#   {inside}",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _workspaces(proposal: Proposal) -> list[str]:
    """Those with stages, and those where something on the old runtime is left behind, so that it is not forgotten."""
    found = [p.looked.workspace for p in proposal.placed]
    return found + [w.workspace for w in proposal.left_out if w.on_source]


def _head(proposal: Proposal, base: Base, now: datetime) -> Iterator[str]:
    seen = proposal.seen
    on_source, changeable = sum(s.on_source for s in seen), sum(s.skip is None for s in seen)
    yield from _comment(
        f"A first plan, proposed on {now:%Y-%m-%d} from what {_count(len(_looked(proposal)), 'workspace')} showed: "
        f"{_count(len(seen), 'target')}, {on_source:,} of them on {base.source}, {changeable:,} that would be changed."
    )
    yield "#"
    yield from _comment(f"To do: put the real ids wherever {placeholders.WORD} stands, read the stages, then")
    yield "#   python app.py plan check --online FILE"
    yield from _comment(
        "Whatever is not here is as in the plan that this one extends: the checklist, the criteria, the sign-offs."
    )
    yield "#"
    yield "# Workspaces, and why they are where they are:"
    for p in proposal.placed:
        numbers = f"{_count(len(p.looked.seen), 'target')}, {p.looked.on_source:,} on {base.source}"
        yield from _comment(f"{p.looked.workspace} ({p.tier}; {numbers}): {p.why}", inside=_IN)
    for w in proposal.left_out:
        numbers = f"{_count(len(w.seen), 'target')}, {w.on_source:,} on {base.source}"
        yield from _comment(f"{w.workspace} (no stage; {numbers}): nothing in it would be changed", inside=_IN)
    yield "#"
    yield f"# Teams by tags, else by owners (targets on {base.source}; `teams` below):"
    found = teams(seen)
    for team, number in found[:_MOST]:
        yield from _comment(
            f"{number:,} {team or 'without one: no team tag, and no owner that can be read'}", inside=_IN
        )
    yield from _more(len(found) - _MOST, "team")
    yield "#"
    yield "# Left alone, and why:"
    alone = left_alone(seen)
    for code, targets in alone:
        yield from _comment(f"{len(targets):,} {code}: {CODES.get(code, '')}{_examples(targets)}", inside=_IN)
    if not alone:
        yield "#   nothing"
    yield "#"
    yield f"# Orphans, on {base.source} and in no stage:"
    for s in proposal.orphans[:_MOST]:
        why = f" ({s.skip})" if s.skip else ""
        yield from _comment(f"{s.workspace}: {s.kind} {plain(s.name, 60)}{why}", inside=_IN)
    yield from _more(len(proposal.orphans) - _MOST, "orphan")
    if not proposal.orphans:
        yield "#   none"


def _looked(proposal: Proposal) -> list[str]:
    return [p.looked.workspace for p in proposal.placed] + [w.workspace for w in proposal.left_out]


def _examples(targets: Sequence[Seen]) -> str:
    names = ", ".join(f"{s.workspace}/{plain(s.name, 40)}" for s in targets[:_EXAMPLES])
    return f" ({names}{', ...' if len(targets) > _EXAMPLES else ''})"


def _more(number: int, what: str) -> list[str]:
    return [f"#   and {_count(number, what)} more"] if number > 0 else []


def _roles(base: Base) -> Iterator[str]:
    yield "# Who holds which role: Slack user ids as `members`, or user group ids as `groups: [S0123ABCDEF]`."
    yield "# One person signs once, and who starts a stage does not sign it: devops has two people for that reason."
    yield "roles:"
    number = 0
    for key, title in base.roles.items():
        people = []
        for _ in range(2 if key == "devops" else 1):
            number += 1
            people.append(placeholders.person(number))
        yield f"  {key}: {{members: [{', '.join(people)}]}} # {plain(title, 40)}"


def _teams(proposal: Proposal) -> Iterator[str]:
    """The teams that tags and owners tell of; nothing asks for them before a stage says so."""
    found, left = proposed(proposal.seen)
    if not found:
        return
    yield "# Teams, by tags and else by owners. They sign for their own targets in stages that say so:"
    yield "#   sign_offs: {developer: 1}    # for what belongs to no team"
    yield "#   each_team: {developer: {after: 2d, unsigned: block}}    # or: pin, what nobody signed goes back"
    yield "# Until then their groups may stay as they are. `members` are user ids; `channel` is where they are told."
    yield "teams:"
    for p in found:
        yield f"  {p.key}: # {_count(p.targets, 'target')} on the old runtime"
        yield f"    title: {quoted(p.team.title)}"
        yield "    select:"
        for word in ("tags", "owners"):
            if values := getattr(p.team.select, word):
                yield f"      {word}: [{', '.join(quoted(v) for v in values)}]"
        if p.team.select.exclude.tags:
            yield f"      exclude: {{tags: [{', '.join(quoted(v) for v in p.team.select.exclude.tags)}]}}"
        yield f"    group: {p.team.group} # the Slack user group of the team"
    unnamed = [(name, number) for name, number in left if name]
    if unnamed:
        text = ", ".join(f"{plain(name, 40)} ({number:,})" for name, number in unnamed[:_MOST])
        yield from _comment(f"Not proposed, because no selection takes just its targets: {text}", "  ")


def _stages(proposal: Proposal, base: Base) -> Iterator[str]:
    yield "stages:"
    proposed = {stage.key: stage for stage in proposal.stages}
    for key in base.stages:
        stage = proposed.get(key)
        if stage is None:
            yield f"  {key}: null # nothing would be changed in it"
            continue
        yield f"  {key}: # {_count(stage.targets, 'target')}, {stage.changeable:,} to change"
        yield "    targets:"
        yield f"      workspaces: [{', '.join(stage.selection.workspaces)}]"
        if key == "canary":
            yield from _canary(stage, proposal)
        if stage.quiet_searched:
            yield from _window(stage)


def _canary(stage: ProposedStage, proposal: Proposal) -> Iterator[str]:
    yield f"      kinds: [{', '.join(stage.selection.kinds)}]"
    indent = "      "
    if not proposal.chosen:
        yield from _comment("No job of production can go first; this cluster is a stand-in: choose by hand.", indent)
    elif not all(c.suits for c in proposal.chosen):
        yield from _comment("No job suits well; this is the best there is, and not isolated or not often run:", indent)
    yield f"{indent}names:"
    reasons = {c.seen.name: c for c in proposal.chosen}
    for name, own in zip(stage.selection.names, reasons or stage.selection.names, strict=True):
        if own in reasons:
            yield from _comment(reasons[own].words(), f"{indent}  ")
        yield f"{indent}  - {quoted(name)}"
    chosen = {c.seen.object_id for c in proposal.chosen}
    others = [c for c in proposal.ranked if c.seen.object_id not in chosen]
    if others:
        yield from _comment("Others that could go first, the best first:", indent)
    for c in others[:10]:
        yield from _comment(f"{plain(c.seen.name, 60)}: {c.words()}", indent, _IN)
    if len(others) > 10:
        yield f"{indent}#   and {_count(len(others) - 10, 'job')} more"


def _window(stage: ProposedStage) -> Iterator[str]:
    quiet = stage.quiet
    if quiet is None:
        yield from _comment("The run history shows no quiet hours; add windows where you know better, such as", "    ")
        yield '    # windows: [{days: [mon, tue, wed, thu], start: "20:00", end: "23:00", zone: UTC}]'
        return
    yield from _comment(
        f"In these hours there runs {quiet.share:.0%} of what usually runs in so much time (run history of the last "
        "week); no change late in the week, so that somebody is there the day after.",
        "    ",
    )
    yield "    windows:"
    hours = f'start: "{quiet.start:02}:00", end: "{quiet.end:02}:00"'
    yield f"      - {{days: [mon, tue, wed, thu], {hours}, zone: {quiet.zone}}}"


def _adapted(base: Base, kept: Sequence[str]) -> Iterator[str]:
    """The lines of the checklist and of the summary that belong to stages which this plan does not have."""
    found = planbase.without(base, kept)
    if found.gone_items or found.items:
        yield "checklist: # what belongs to the stages that are not here"
        for key in found.gone_items:
            yield f"  {key}: null"
        for key, blocks in found.items.items():
            yield f"  {key}: {{blocks: {blocks or 'null'}}}"
    if found.gone_lines or found.lines:
        yield "summary:"
        for key in found.gone_lines:
            yield f"  {key}: null"
        for key, (items, stages) in found.lines.items():
            yield f"  {key}: {{items: [{', '.join(items)}], stages: [{', '.join(stages)}]}}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
