"""``contacts``: whom to ask, and who holds which role."""

from commands.call import Call
from commands.reply import Block, Buttons, Heading, Icon, Line, Note, Paragraph, Part, Person, Reply, Strong, line
from commands.words import listed, short
from rollout.people import members
from rollout.plan import Plan

_PEOPLE = 8
_TEAMS = 20


def contacts(call: Call) -> Reply:
    """The contacts of the plan, and the people of each role."""
    plan, standing = call.plan, call.standing
    blocks: list[Block] = [Heading("Contacts")]
    lines = contact_lines(plan, 15)
    blocks.append(Paragraph(tuple(lines) or (line("The plan names no contacts."),)))
    people = members(plan, standing.groups)
    roles: list[Line] = []
    for key, role in list(plan.roles.items())[:20]:
        parts: list[Part] = [Strong(role.title), ": "]
        held = sorted(people.get(key, ()))
        for index, user in enumerate(held[:_PEOPLE]):
            parts += [", " if index else "", Person(user)]
            if user not in standing.available:
                parts.append(" (not known to be available)")
        if not held:
            parts.append("nobody")
        if len(held) > _PEOPLE:
            parts.append(f" and {len(held) - _PEOPLE} more")
        roles.append(tuple(parts))
    blocks.append(Paragraph((line(Strong("Roles")), *roles)))
    if plan.teams:
        blocks.append(Paragraph((line(Strong("Teams")), *_teams(call))))
    caps = plan.capabilities
    for verb, allowed in (("start", caps.start), ("roll back", caps.rollback), ("pause", caps.pause)):
        titles = listed([plan.roles[r].title for r in allowed if r in plan.roles], "or")
        blocks.append(Note(line(Icon("info"), f" May {verb}: {titles}")))
    blocks.append(Buttons((call.button("Status", "status"),)))
    return Reply("Contacts and roles.", tuple(blocks), share=True)


def _teams(call: Call) -> list[Line]:
    found: list[Line] = []
    for team in list(call.plan.teams.values())[:_TEAMS]:
        people = sorted({*team.members, *call.standing.groups.get(team.group or "", ())})
        parts: list[Part] = [Strong(team.title), ": "]
        for index, user in enumerate(people[:_PEOPLE]):
            parts += [", " if index else "", Person(user)]
        more = f" and {len(people) - _PEOPLE} more" if len(people) > _PEOPLE else ""
        found.append((*parts, more if people else "nobody"))
    if len(call.plan.teams) > _TEAMS:
        found.append(line(f"and {len(call.plan.teams) - _TEAMS} more, in the plan file"))
    return found


def contact_lines(plan: Plan, most: int) -> list[Line]:
    """The first contacts of a plan."""
    found: list[Line] = []
    for c in plan.contacts[:most]:
        then = f" · {short(c.escalation, 150)}" if c.escalation else ""
        found.append(line(Strong(short(c.role, 60)), f": {short(c.contact, 150)}{then}"))
    return found
