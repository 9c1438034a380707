"""The command line of `python -m sandbox.say`: one text, look or press a call."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from sandbox.say import acting, text
from sandbox.say.client import Json, Page, Trouble
from sandbox.say.inline import Names
from sandbox.say.settling import Answer, home, shown_error

EXAMPLES = """examples:
  python -m sandbox.say --as devops '/rollout status'
  python -m sandbox.say --as devops '/rollout start dev'
  python -m sandbox.say --as devops --click 'Start dev'
  python -m sandbox.say --as qa --submit 'Role=QA' 'Comment=looks good'
  python -m sandbox.say --as qa --read platform-support

A press acts on the person's top dialog first (its submit and close are buttons, too), else on their newest private
message, else on the newest message of the channel. Names are found case-insensitive: exact, then beginning, then part.
Exit 0: done (a refusal by the bot, too). Exit 1: no such button, field or person, or Slack would show an error."""


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.say",
        description="Type, press and read in the local Slack as one of its people.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("text", nargs="*", help="a command such as '/rollout status', or a plain message")
    parser.add_argument("--port", type=int, default=8800, help="where the local Slack listens (8800)")
    parser.add_argument(
        "--as", dest="person", required=True, metavar="PERSON", help="who acts, by key: devops, qa, ..."
    )
    parser.add_argument("--channel", help="channel by name or id; 'app' is the direct message (their usual channel)")
    parser.add_argument("--wait", type=float, default=15.0, metavar="SECONDS", help="how long to wait at most (15)")
    parser.add_argument("--json", action="store_true", help="print the raw messages, views and blocks")
    parser.add_argument("--home", action="store_true", help="open the Home tab (with --click: press there)")
    parser.add_argument("--read", metavar="CHANNEL", help="print a channel with its threads")
    parser.add_argument("--click", metavar="TEXT", help="press a button")
    parser.add_argument("--select", action="append", default=[], metavar="LABEL=OPTION", help="choose; may be repeated")
    parser.add_argument("--shortcut", metavar="NAME", help="choose a shortcut of the app in a message's menu")
    parser.add_argument("--on", metavar="TEXT", help="with --shortcut: the newest message that holds TEXT (the newest)")
    parser.add_argument("--submit", nargs="*", metavar="LABEL=VALUE", help="fill the top dialog and submit it")
    found = parser.parse_args(given)
    wishes = [bool(found.text), bool(found.read), found.click is not None, found.submit is not None]
    wishes.append(found.shortcut is not None)
    if sum(wishes) > 1 or ((found.text or found.read or found.shortcut) and (found.select or found.home)):
        parser.error(
            "one thing a call: a text, --read, --home, --click, --shortcut or --submit (--select may go before a press)"
        )
    if found.on is not None and found.shortcut is None:
        parser.error("--on names the message of a --shortcut")
    if not (any(wishes) or found.select or found.home):
        parser.error("say what to do: a text, --click, --select, --shortcut, --submit, --home or --read")
    return found


def main(given: Sequence[str] | None = None) -> int:
    """Do it, print what the person sees, return the exit code."""
    arguments = _arguments(given)
    page = Page(arguments.port, arguments.person)
    try:
        return _run(arguments, page)
    except Trouble as trouble:
        print(trouble, file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 0


def _run(arguments: argparse.Namespace, page: Page) -> int:
    state = page.state()
    names = Names(state)
    me = state.get("me") or {}
    if arguments.read:
        return _read(page, names, acting.channel(arguments.read, me), arguments.json)
    channel = acting.channel(arguments.channel, me)
    stage = acting.Stage(page, names, channel, arguments.wait, arguments.home, _aside if arguments.json else print)
    if arguments.home and arguments.click is None and not arguments.select:
        return _home(page, names, arguments.wait, arguments.json)
    answer = None
    for choice in arguments.select:
        answer = stage.select(choice, pressing=arguments.click is not None or arguments.submit is not None)
    if arguments.text:
        answer = stage.say(" ".join(arguments.text))
    elif arguments.click is not None:
        answer = stage.click(arguments.click)
    elif arguments.shortcut is not None:
        answer = stage.shortcut(arguments.shortcut, arguments.on)
    elif arguments.submit is not None:
        answer = stage.submit(arguments.submit)
    if answer is None:
        return 0
    return _report(answer, names, arguments)


def _aside(line: str) -> None:
    print(line, file=sys.stderr)


def _report(answer: Answer, names: Names, arguments: argparse.Namespace) -> int:
    """Print an answer; 1 when Slack itself showed an error."""
    if arguments.json:
        parts = {
            "messages": answer.messages,
            "views": answer.views,
            "error": answer.error,
            "errors": answer.errors or None,
        }
        _dump({"request": answer.request.get("id"), **parts})
    else:
        print("\n\n".join("\n".join(part) for part in _parts(answer, names)))
    if answer.error:
        raise shown_error(answer.error)
    if answer.errors:
        refusals = [str(sentence) for sentence in answer.errors.values()]
        if not any(sentence.startswith("Refused (") for sentence in refusals):
            raise Trouble(f"the dialog was not accepted: {' '.join(refusals)}")
    if not answer.settled:
        print(f"(not settled after {arguments.wait:g} s; this is what there was)", file=sys.stderr)
    return 0


def _parts(answer: Answer, names: Names) -> list[list[str]]:
    parts = [text.message(message, names) for message in answer.messages]
    parts += [text.view(view, names) for view in answer.views]
    if not parts and not answer.error and answer.request.get("id"):
        parts = [["(no answer for you alone; --read shows the channel)"]]
    return parts


def _dump(thing: Json) -> None:
    print(json.dumps(thing, indent=2, ensure_ascii=False))


def _home(page: Page, names: Names, wait: float, raw: bool) -> int:
    view = home(page, wait)
    if raw:
        _dump({"view": view})
    elif view is None:
        print("(the app has published no Home tab for this person)")
    else:
        print("\n".join(text.view({**view, "title": None}, names)))
    return 0


def _read(page: Page, names: Names, channel: str, raw: bool) -> int:
    messages = page.messages(channel)
    threads = {m["ts"]: page.messages(channel, m["ts"]) for m in messages if m.get("replies")}
    top = [m for m in messages if not m.get("thread_ts") or m["thread_ts"] == m["ts"] or m.get("broadcast")]
    inside = {ts: [reply for reply in thread if reply["ts"] != ts] for ts, thread in threads.items()}
    if raw:
        _dump({"channel": channel, "messages": [{**m, "thread": inside.get(m["ts"], [])} for m in top]})
        return 0
    lines: list[str] = []
    for message in top:
        lines += [text.heading(message, names), *(f"  {line}".rstrip() for line in text.message(message, names))]
        for reply in inside.get(message["ts"], []):
            lines += [
                f"    > {text.heading(reply, names)}",
                *(f"    >   {line}".rstrip() for line in text.message(reply, names)),
            ]
        lines.append("")
    print("\n".join(lines).rstrip() or "(nothing has been said here)")
    return 0
