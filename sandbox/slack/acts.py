"""What people do: type commands and messages, press, choose, submit, close, look at the Home; each is a request."""

from __future__ import annotations

from collections.abc import Callable

from sandbox.slack import acks, closing, escaping, inputs, modals, payloads, posting
from sandbox.slack.delivery import Outcome, Parcel
from sandbox.slack.delivery.events import send_event
from sandbox.slack.delivery.weather import deliver
from sandbox.slack.errors import PageError
from sandbox.slack.people import Person
from sandbox.slack.store import Json
from sandbox.slack.workspace import Workspace


def _deliver(ws: Workspace, request: Json, parcel: Parcel, then: Callable[[Outcome], None]) -> None:
    """Send at once, in the background; note when it was sent and acknowledged, then do what the outcome asks for."""

    async def work() -> None:
        parcel.sent = lambda moment: request.update(delivered=moment)
        outcome = await deliver(ws, parcel)
        ws.requests.changed(request, acknowledged=outcome.acknowledged)
        then(outcome)

    ws.spawn(work())


def say(ws: Workspace, person: Person, channel: str, text: str, thread: str | None = None) -> Json:
    """A person types `text` into a channel: a command that goes to the bot, or a message for everybody."""
    if not text.strip():
        raise PageError("There is nothing to send.")
    if text.startswith("/"):
        if thread:
            raise PageError(f"{text.split()[0]} is not supported in threads. Sorry!")
        return _command(ws, person, channel, text)
    if channel in ws.cast.by_dm and not ws.manifest.people_may_write:
        raise PageError("Sending messages to this app has been turned off.")
    if channel in ws.cast.channels and not ws.seats.sees(person, channel):
        raise PageError(f"{person.key} is not in #{ws.channel_name(channel)}.")
    root = ws.messages.get(channel, thread) if thread else None
    if thread and (root is None or root["to"]):
        raise PageError("There is no such thread.", 404)
    request = ws.requests.open(person.id, person.key, "message")
    posting.post(ws, channel, person.id, bot=False, text=escaping.entities(ws.cast, text), thread_ts=thread)
    return request


def _command(ws: Workspace, person: Person, channel: str, line: str) -> Json:
    name, _, text = line.strip().partition(" ")
    if name in ("/invite", "/remove", "/kick"):
        return _invite(ws, person, channel, name == "/invite", text)
    declared = ws.manifest.commands.get(name)
    if declared is None or "commands" not in ws.manifest.scopes:
        raise PageError(f"{name} is not a valid command")
    request = ws.requests.open(person.id, person.key, "command")
    trigger = ws.handles.trigger(person.id, request["id"], None)
    answer_to = ws.handles.response_url(person.id, request["id"], channel, None)
    text = escaping.entities(ws.cast, text.strip()) if declared.should_escape else text.strip()
    payload = payloads.command(ws, person, name, text, channel, trigger, answer_to)
    parcel = Parcel("slash_commands", payload, accepts_response=True)
    _deliver(ws, request, parcel, lambda outcome: acks.command(ws, request, name, channel, outcome))
    return request


def _invite(ws: Workspace, person: Person, channel: str, inside: bool, text: str) -> Json:
    """Slack's own /invite and /remove, for the bot."""
    if text.strip().lstrip("@") != ws.cast.bot_name or channel not in ws.cast.channels:
        raise PageError(f"Only @{ws.cast.bot_name} can be invited or removed here, in a channel.")
    ws.seats.set_bot(channel, inside)
    request = ws.requests.open(person.id, person.key, "command")
    done = "was added to" if inside else "was removed from"
    posting.whisper(ws, channel, person.id, f"{ws.cast.bot_name} {done} #{ws.channel_name(channel)}.")
    return request


def act(ws: Workspace, person: Person, container: Json, body: Json) -> Json | None:
    """A person presses or chooses something in a message, in a modal or on the Home. None: the bot is not told yet."""
    if not ws.manifest.interactivity:
        raise PageError("This app is not configured to handle interactive responses.")
    if container.get("home") or container.get("view"):
        return enter(ws, person, container, body)
    channel = ws.channel_id(container.get("channel"), person)
    message = ws.messages.get(channel, str(container.get("ts")))
    if message is None or message["deleted"] or (message["to"] and message["to"] != person.id):
        raise PageError("There is no such message.", 404)
    if message["user"] != ws.cast.bot_user:
        raise PageError("That is not a message of the bot.")
    block, element = inputs.find(message["blocks"], body.get("block_id"), body.get("action_id"))
    key = f"{person.id}:{channel}:{message['ts']}"
    values = inputs.state(message["blocks"], (ws.store.get("message_state", key) or {}).get("values"))
    actions = [_pressed(ws, block, element, body, values)]
    if values:
        ws.store.put("message_state", key, {"values": values})
    if _waits(block):
        return None
    request = ws.requests.open(person.id, person.key, "action")
    trigger = ws.handles.trigger(person.id, request["id"], None)
    answer_to = ws.handles.response_url(person.id, request["id"], channel, message["ts"])
    payload = payloads.message_action(ws, person, message, values, actions, trigger, answer_to)
    parcel = Parcel("interactive", payload, accepts_response=False)

    def warn(outcome: Outcome) -> None:
        acks.action(ws, request, None, outcome)

    _deliver(ws, request, parcel, warn)
    return request


def shortcut(ws: Workspace, person: Person, channel: str, ts: str, callback_id: str) -> Json:
    """A person chooses one of the app's shortcuts in the menu of a message. There is no such menu on a private one."""
    if not ws.manifest.interactivity:
        raise PageError("This app is not configured to handle interactive responses.")
    if callback_id not in ws.manifest.shortcuts or "commands" not in ws.manifest.scopes:
        raise PageError(f"The app has no message shortcut {callback_id!r}.", 404)
    message = ws.messages.get(channel, ts)
    if message is None or message["deleted"] or message["to"] or not ws.seats.sees(person, channel):
        raise PageError("There is no such message with a menu.", 404)
    request = ws.requests.open(person.id, person.key, "shortcut")
    trigger = ws.handles.trigger(person.id, request["id"], None)
    answer_to = ws.handles.response_url(person.id, request["id"], channel, None)
    payload = payloads.shortcut(ws, person, message, callback_id, trigger, answer_to, ws.messages.stamp())
    parcel = Parcel("interactive", payload, accepts_response=False)
    _deliver(ws, request, parcel, lambda outcome: acks.action(ws, request, None, outcome))
    return request


def _waits(block: Json) -> bool:
    """Whether the bot hears of this block's element only when everything is submitted."""
    return bool(block["type"] == "input" and not block.get("dispatch_action"))


def _pressed(ws: Workspace, block: Json, element: Json, body: Json, values: Json) -> Json:
    """The `actions` item; what was chosen is also put into `values`."""
    entry: Json | None = None
    if element["type"] in inputs.HOLDS:
        entry = inputs.entered(element, body)
        values.setdefault(block["block_id"], {})[element["action_id"]] = entry
    elif element["type"] == "overflow":
        entry = {"selected_option": inputs.option(element, body.get("selected_option", body.get("value")))}
    elif element["type"] == "feedback_buttons":
        offered = [element["positive_button"], element["negative_button"]]
        entry = next((b for b in offered if b["value"] == body.get("value")), None)
        if entry is None:
            raise PageError("There is no such feedback button.")
    return payloads.action(element, block["block_id"], entry, ws.messages.stamp())


def _view(ws: Workspace, person: Person, container: Json) -> Json:
    """The record of the person's Home, or of the modal on top of their stack."""
    if container.get("home"):
        record = modals.home(ws, person)
    else:
        record = modals.get(ws, str(container["view"]))
    if record is None or record["user"] != person.id:
        raise PageError("There is no such view.", 404)
    stack = modals.stack(ws, person.id)
    if record["view"]["type"] == "modal" and stack[-1] is not record:
        raise PageError("That modal is covered by another one.")
    return record


def _act_in_view(ws: Workspace, person: Person, record: Json, block: Json, element: Json, body: Json) -> Json:
    view = record["view"]
    item = _pressed(ws, block, element, body, view["state"]["values"])
    ws.store.touch("views", view["id"])
    request = ws.requests.open(person.id, person.key, "action", home=view["type"] == "home")
    trigger = ws.handles.trigger(person.id, request["id"], view["id"] if view["type"] == "modal" else None)
    payload = payloads.view_action(ws, person, view, [item], trigger)
    parcel = Parcel("interactive", payload, accepts_response=False)
    _deliver(ws, request, parcel, lambda outcome: acks.action(ws, request, view["id"], outcome))
    return request


def enter(ws: Workspace, person: Person, container: Json, body: Json) -> Json | None:
    """A person fills an input of an open view. Only where the element dispatches does the bot hear of it at once."""
    record = _view(ws, person, container)
    block, element = inputs.find(record["view"]["blocks"], body.get("block_id"), body.get("action_id"))
    if not _waits(block):
        return _act_in_view(ws, person, record, block, element, body)
    entry = inputs.entered(element, body)
    modals.set_state(ws, record, block["block_id"], element["action_id"], entry)
    return None


def submit(ws: Workspace, person: Person, view_id: str) -> Json:
    """A person submits the top modal. What a client checks itself is checked here, and then nothing is sent."""
    record = _view(ws, person, {"view": view_id})
    view = record["view"]
    if not view["submit"] or view["submit_disabled"]:
        raise PageError("This modal cannot be submitted.")
    if record["pending"]:
        raise PageError("This modal is being submitted already.")
    request = ws.requests.open(person.id, person.key, "submit")
    errors = inputs.missing(view["blocks"], view["state"]["values"])
    if errors:
        ws.requests.changed(request, errors=errors)
        modals.trouble(ws, record, errors=errors)
        return request
    record.update(pending=True, errors=None, error=None)
    ws.store.touch("views", view_id)
    trigger = ws.handles.trigger(person.id, request["id"], view_id)
    payload = payloads.submission(ws, person, view, trigger, _response_urls(ws, person, request, view))
    parcel = Parcel("interactive", payload, accepts_response=True)
    _deliver(ws, request, parcel, lambda outcome: acks.submission(ws, request, view_id, outcome))
    return request


def _response_urls(ws: Workspace, person: Person, request: Json, view: Json) -> list[Json]:
    """One response_url for each select with `response_url_enabled` that holds a conversation."""
    urls = []
    for block, element in inputs.interactive(view["blocks"]):
        if element.get("response_url_enabled"):
            entry = view["state"]["values"][block["block_id"]][element["action_id"]]
            channel = entry.get("selected_conversation") or entry.get("selected_channel")
            if channel and ws.seats.knows(channel):
                key = ws.handles.response_url(person.id, request["id"], channel, None)
                ids = {"block_id": block["block_id"], "action_id": element["action_id"], "channel_id": channel}
                urls.append({**ids, "response_url": f"{ws.url}/response/{key}"})
    return urls


def close(ws: Workspace, person: Person, view_id: str) -> None:
    """A person closes the top modal."""
    closing.close(ws, _view(ws, person, {"view": view_id}))


def open_home(ws: Workspace, person: Person, tab: str = "home") -> Json | None:
    """A person opens the app's Home tab, or its Messages tab: app_home_opened for both, where the app subscribed to
    it. Returns the request."""
    if (
        not (ws.manifest.home_tab if tab == "home" else ws.manifest.messages_tab)
        or "app_home_opened" not in ws.manifest.bot_events
    ):
        return None
    request = ws.requests.open(person.id, person.key, "home", home=tab == "home")
    inner: Json = {
        "type": "app_home_opened",
        "user": person.id,
        "channel": person.dm,
        "tab": tab,
        "event_ts": ws.messages.stamp(),
    }
    shown = modals.home(ws, person)
    if shown is not None and tab == "home":
        inner["view"] = shown["view"]
    ws.spawn(send_event(ws, payloads.event(ws, inner), request))
    return request
