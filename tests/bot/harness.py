"""What the tests of the bot share: a door that answers as told, a small plan, settings with short waits."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bot.build import Bot, BotSettings
from commands.reply import (
    Actor,
    Button,
    Buttons,
    FieldErrors,
    Form,
    Paragraph,
    Reply,
    Request,
    TextInput,
)
from rollout.plan import Capabilities, Plan, Role, Runtimes, Selection
from rollout.plan import Stage as PlannedStage
from rollout.planfile import canonical, digest
from rollout.states import StageState
from sandbox.slack.server import Slack
from storage.database import Database
from storage.models import PlanRevision, Rollout, Stage

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
SUPPORT = "C0SUPPORT1"
PEOPLE = {"developer": "U0SAND0001", "qa": "U0SAND0003", "devops": "U0SAND0004", "outsider": "U0SAND0008"}


@dataclass
class FakeDoor:
    """Answers as it is told, and keeps what it was asked."""

    asked: list[Request] = field(default_factory=list)
    acts: int = 0
    cards: dict[int, Reply] = field(default_factory=dict)
    documents: dict[str, Reply | None] = field(default_factory=dict)
    handler: Callable[[Request], Reply] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def reset(self) -> None:
        """Forget everything."""
        self.asked, self.acts, self.cards, self.documents, self.handler = [], 0, {}, {}, None

    def handle(self, request: Request) -> Reply:
        with self.lock:
            self.asked.append(request)
            if request.arguments.get("submitted"):
                self.acts += 1
        if request.actor.problem is not None:
            code = request.actor.problem
            return Reply(f"Refused ({code})", (Paragraph(((f"Refused ({code}) you may not",),)),), refused=code)
        if request.shared_channel:
            return Reply("Refused (shared_channel) not here", refused="shared_channel")
        if self.handler is not None:
            return self.handler(request)
        if request.verb == "start":
            if request.arguments.get("submitted"):
                return Reply("dev was started", (Paragraph((("dev was started: ", str(request.arguments)),)),))
            form = Form(
                "Start dev",
                "start",
                {"stage": "dev", "confirm": "d1"},
                "Start dev",
                (Paragraph((("12 targets will be changed",),)),),
                (TextInput("comment", "Comment"),),
            )
            return Reply("Start dev?", form=form)
        pages = Buttons((Button("More", "status", {"page": 1}), Button("Start dev", "start", {"words": "dev"})))
        return Reply(
            f"{request.verb} for {request.actor.user_id}",
            (Paragraph(((f"{request.verb} page {request.arguments.get('page', 0)}",),)), pages),
            share=True,
        )

    def check_form(self, request: Request) -> None:
        if request.arguments.get("comment") == "wrong":
            raise FieldErrors({"comment": "That is not a comment."})

    def card(self, stage_id: int) -> Reply:
        return self.cards.get(stage_id, Reply(f"card of {stage_id}"))

    def document(self, kind: str, rollout_id: int | None, stage_id: int | None, ids: Mapping[str, Any]) -> Reply | None:
        return self.documents.get(kind, Reply(f"{kind} {dict(ids)}"))

    def closing(
        self, kind: str, stage_id: int | None, rollout_id: int | None = None, ids: Mapping[str, Any] | None = None
    ) -> Reply:
        return Reply(f"{kind} is over")

    def home(self, actor: Actor) -> Reply:
        if actor.problem is not None:
            return Reply(f"Refused ({actor.problem})", refused=actor.problem)
        return Reply("home", (Paragraph(((f"home of {actor.user_id}",),)), Buttons((Button("Start", "start", {}),))))


#: How long the local Slack keeps a trigger, and waits for an acknowledgement, in machine seconds.
TRIGGER_SECONDS = 60.0


def plan(groups: tuple[str, ...] = (), members: tuple[str, ...] = (PEOPLE["developer"],)) -> Plan:
    """A plan of one role and two stages."""
    stages = tuple(
        PlannedStage(key=key, title=key, targets=Selection(workspaces=("dev",)), sign_offs={"dev": 1})
        for key in ("dev", "test")
    )
    return Plan(
        key="sample",
        title="Sample",
        runtimes=Runtimes(source="13.3", target="17.3"),
        workspaces=("dev",),
        channel=SUPPORT,
        roles={"dev": Role(title="Developer", members=members, groups=groups)},
        capabilities=Capabilities(start=("dev",), rollback=("dev",), pause=("dev",)),
        stages=stages,
    )


def open_rollout(database: Database, made: Plan) -> tuple[int, list[int]]:
    """Store a rollout of that plan; its id and those of its stages."""
    with database.write() as session:
        text = canonical(made)
        revision = PlanRevision(plan_key=made.key, revision=1, digest=digest(made), text=text, created_at=NOW)
        session.add(revision)
        session.flush()
        rollout = Rollout(plan_key=made.key, revision_id=revision.id, channel=made.channel, opened_at=NOW)
        session.add(rollout)
        session.flush()
        stages = [
            Stage(rollout_id=rollout.id, key=s.key, position=i, state=StageState.READY)
            for i, s in enumerate(made.stages)
        ]
        session.add_all(stages)
        session.flush()
        return rollout.id, [stage.id for stage in stages]


def soon(fits: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What ``fits`` gives once it is true; AssertionError when it never is."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = fits()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it never came to that")


def settings_for(slack: Slack, **more: Any) -> BotSettings:
    """The bot's settings for a local Slack, with short waits."""
    quick: dict[str, Any] = {
        "bot_token": slack.bot_token,
        "signing_secret": slack.signing_secret,
        "app_token": slack.app_token,
        "base_url": slack.api_url,
        "inbox_poll": 0.1,
        "sender_poll": 0.05,
        "card_gap": 0.2,
        "lookup_seconds": 20.0,
        "call_seconds": 20.0,
        "submission_margin": 0.15,
        "host": "127.0.0.1",
    }
    return BotSettings(**{**quick, **more})


@contextlib.contextmanager
def started(bot: Bot) -> Iterator[Bot]:
    """A bot that runs for a while."""
    bot.start()
    try:
        yield bot
    finally:
        bot.stop(4.0)
