"""Home tabs that were opened are kept as things are, without being published for nothing."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError

from bot.answers import Answers
from bot.clients import client
from bot.homes import KEPT, Homes, digest_of, publish
from bot.pace import Budget
from commands.reply import Actor, Paragraph, Reply
from sandbox.slack.server import Slack, running
from storage import directory, homes
from storage.database import Database
from storage.record import ENGINE, event
from tests.bot.harness import NOW, PEOPLE, FakeDoor, open_rollout, plan


@dataclass
class ADoor(FakeDoor):
    """A door whose Home tab says what it is told to, and who asked."""

    says: str = "waiting"
    drawn_for: list[Actor] = field(default_factory=list)

    def home(self, actor: Actor) -> Reply:
        self.drawn_for.append(actor)
        return Reply(self.says, (Paragraph(((self.says,),)),))


@dataclass
class Keeper:
    """Homes without a thread. ``now`` is their monotonic clock; ``published`` what Slack was given, in order."""

    slack: Slack
    database: Database
    door: ADoor
    homes: Homes
    rollout: int
    now: list[float]
    published: list[str]
    meanwhile: list[Callable[[], None]] = field(default_factory=list)  # done once, while a tab is on its way to Slack

    def open(self, *people: str) -> None:
        for person in people:
            digest = digest_of(self.door.home(Actor("T0SANDBOX1", person)))
            with self.database.write() as session:
                homes.opened(session, person, "T0SANDBOX1", digest, self.database.machine())
        self.door.drawn_for.clear()

    def show(self, person: str) -> None:
        """What the workers do when somebody opens the tab."""
        reply = self.door.home(Actor("T0SANDBOX1", person))
        publish(self.database, self.homes._answers, person, reply, team="T0SANDBOX1")

    def happen(self, says: str) -> None:
        self.door.says = says
        with self.database.write() as session:
            event(session, NOW, ENGINE, "paused", says, rollout_id=self.rollout)

    def pass_time(self, seconds: float) -> None:
        for _ in range(40):
            self.homes.turn()
        self.now[0] += seconds
        for _ in range(40):
            self.homes.turn()


@pytest.fixture(scope="module")
def slack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slack]:
    """A local Slack without a bot of its own."""
    with running(tmp_path_factory.mktemp("slack")) as made:
        yield made


@pytest.fixture
def keeper(slack: Slack, either: Database) -> Keeper:
    """What keeps the Home tabs, on both databases."""
    door, now, published = ADoor(), [1000.0], []
    web = client(slack.bot_token, slack.api_url, 5.0)
    publish, meanwhile = web.views_publish, list[Callable[[], None]]()

    def seen(*, user_id: str, view: Mapping[str, Any], **more: Any) -> Any:
        if meanwhile:
            meanwhile.pop()()
        published.append(user_id)
        return publish(user_id=user_id, view=view, **more)

    web.views_publish = seen  # type: ignore[method-assign]
    clock = lambda: now[0]  # noqa: E731
    made = Homes(either, door, Answers(web), Budget(30, 0, clock), gap=20.0, every=3.0, clock=clock)
    rollout, _ = open_rollout(either, plan())
    return Keeper(slack, either, door, made, rollout, now, published, meanwhile)


def text_of(keeper: Keeper, name: str) -> str:
    return str(keeper.slack.get("home", **{"as": name})["view"])


def test_an_open_tab_follows_what_happens(keeper: Keeper) -> None:
    keeper.open(PEOPLE["qa"])
    keeper.happen("dev has started")
    keeper.pass_time(30)
    assert keeper.published == [PEOPLE["qa"]]
    assert "dev has started" in text_of(keeper, "qa")


def test_nothing_is_published_when_nothing_differs(keeper: Keeper) -> None:
    keeper.open(PEOPLE["qa"])
    keeper.pass_time(30)
    keeper.happen("waiting")
    keeper.pass_time(30)
    assert keeper.published == []
    drawn = len(keeper.door.drawn_for)
    keeper.pass_time(300)
    assert len(keeper.door.drawn_for) == drawn, "and without an event nothing is even drawn"


def test_a_tab_changes_at_most_every_twenty_seconds_and_ends_with_the_newest(keeper: Keeper) -> None:
    keeper.open(PEOPLE["qa"])
    for number in range(12):
        keeper.happen(f"event {number}")
        keeper.pass_time(4)
    keeper.pass_time(30)
    assert 2 <= len(keeper.published) <= 4
    assert "event 11" in text_of(keeper, "qa")


def test_a_tab_that_is_opened_while_an_older_one_is_on_its_way_ends_with_the_newest(keeper: Keeper) -> None:
    def opened() -> None:
        keeper.door.says = "may be signed"
        keeper.show(PEOPLE["qa"])

    keeper.open(PEOPLE["qa"])
    keeper.happen("is baking")
    keeper.meanwhile.append(opened)
    keeper.homes.turn()
    assert keeper.published == [PEOPLE["qa"]] * 2
    assert "is baking" in text_of(keeper, "qa"), "the older one came last"
    keeper.pass_time(30)
    assert "may be signed" in text_of(keeper, "qa")


def test_of_two_openings_at_the_same_time_the_newest_is_shown_in_the_end(keeper: Keeper) -> None:
    def opened() -> None:
        keeper.door.says = "may be signed"
        keeper.show(PEOPLE["qa"])

    keeper.door.says = "is baking"
    keeper.meanwhile.append(opened)
    keeper.show(PEOPLE["qa"])
    assert "is baking" in text_of(keeper, "qa"), "the older one came last"
    keeper.pass_time(30)
    assert "may be signed" in text_of(keeper, "qa")


def test_a_minute_has_a_budget_for_all_tabs_together(keeper: Keeper) -> None:
    keeper.open(*(f"U0CROWD{number:03}" for number in range(50)), PEOPLE["qa"])
    keeper.homes._answers = Answers(_Anybody(keeper.published))  # type: ignore[arg-type]
    keeper.happen("dev has started")
    for _ in range(200):
        keeper.homes.turn()
    assert len(keeper.published) == 30
    keeper.pass_time(61)
    assert sorted(set(keeper.published)) == sorted(keeper.published)
    assert len(keeper.published) == 51


class _Anybody:
    """A Slack in which everybody exists."""

    def __init__(self, published: list[str]) -> None:
        self._published = published

    def views_publish(self, *, user_id: str, **_: Any) -> Any:
        self._published.append(user_id)
        return SimpleNamespace(data={"ok": True})


def test_the_tab_of_an_account_that_was_deactivated_is_left_alone(keeper: Keeper) -> None:
    keeper.open(PEOPLE["qa"], PEOPLE["devops"])
    with keeper.database.write() as session:
        directory.know(session, PEOPLE["qa"], "T0SANDBOX1", "deactivated_account", keeper.database.machine())
    keeper.happen("dev has started")
    keeper.pass_time(30)
    assert keeper.published == [PEOPLE["devops"]]


def test_a_tab_that_nobody_opened_for_days_is_left_alone(keeper: Keeper) -> None:
    with keeper.database.write() as session:
        long_ago = keeper.database.machine() - KEPT - timedelta(minutes=1)
        homes.opened(session, PEOPLE["qa"], "T0SANDBOX1", "x", long_ago)
    keeper.happen("dev has started")
    keeper.pass_time(30)
    assert keeper.published == []


def test_groups_are_those_last_seen_of_the_person(keeper: Keeper) -> None:
    keeper.open(PEOPLE["qa"])
    with keeper.database.write() as session:
        directory.set_members(session, "S1", [PEOPLE["qa"], PEOPLE["devops"]])
        directory.set_members(session, "S2", [PEOPLE["devops"]])
    keeper.happen("dev has started")
    keeper.pass_time(30)
    assert keeper.door.drawn_for[-1] == Actor("T0SANDBOX1", PEOPLE["qa"], frozenset({"S1"}))


def test_an_opening_in_between_does_not_hide_what_is_newer(keeper: Keeper) -> None:
    keeper.open(PEOPLE["qa"])
    keeper.happen("new")
    older = keeper.database.machine() + timedelta(seconds=1)

    def opens_with_the_old(actor: Actor) -> Reply:
        with keeper.database.write() as session:
            homes.opened(session, actor.user_id, "T0SANDBOX1", "digest of the old", older)
        keeper.door.__class__ = ADoor
        return Reply("new", (Paragraph((("new",),)),))

    keeper.door.home = opens_with_the_old  # type: ignore[method-assign]
    keeper.homes.turn()
    del keeper.door.home
    keeper.pass_time(30)
    assert keeper.published == [PEOPLE["qa"]], "what was published last is the newest"
    assert "new" in text_of(keeper, "qa")


def test_slack_that_asks_to_wait_is_waited_for(keeper: Keeper) -> None:
    keeper.open(PEOPLE["qa"])
    calls: list[str] = []

    class _Busy:
        def views_publish(self, **_: Any) -> Any:
            calls.append("call")
            answer = SimpleNamespace(status_code=429, headers={"Retry-After": "60"}, data={})
            raise SlackApiError("ratelimited", answer)  # type: ignore[no-untyped-call]

    free = keeper.homes._answers
    keeper.homes._answers = Answers(_Busy())  # type: ignore[arg-type]
    keeper.happen("dev has started")
    keeper.pass_time(59)
    assert calls == ["call"], "Retry-After is kept"
    keeper.homes._answers = free
    keeper.pass_time(2)
    assert keeper.published == [PEOPLE["qa"]]
