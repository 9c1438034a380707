"""No bearer handle and no secret reaches a log."""

import json
import logging

import pytest
import structlog

from bot import logs

SECRETS = [
    "xoxb-1234567890-abcdef",
    "xoxe.xoxb-1-abcdef",
    "xapp-1-A1-2-abc",
    "https://hooks.slack.com/commands/T1/2/abc",
    "https://hooks.slack.com/actions/T1/2/abc",
    "http://127.0.0.1:8800/response/AbC_d-9",
    "13345224609.738474920.8088930838d88f008e0013345224609a",
    "dapi0123456789abcdef",
    "13345224609.738474920.8088930838d88f008e0",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_secrets_are_known_by_what_they_look_like(secret: str) -> None:
    for value in (secret, f"failed at {secret}!", {"deep": [{"er": secret}]}, (secret,), ValueError(secret)):
        assert secret not in str(logs.redacted(value))


@pytest.mark.parametrize(
    "name",
    ["token", "bot_token", "response_url", "trigger_id", "trigger", "signing_secret", "Authorization", "password"],
)
def test_secrets_are_known_by_their_name(name: str) -> None:
    assert logs.redacted({name: "hunter2"}) == {name: logs.GONE}


def test_the_password_of_a_database_url_goes_and_the_rest_stays() -> None:
    assert logs.redacted("postgresql://bot:hunter2@db/rollout") == f"postgresql://{logs.GONE}@db/rollout"
    assert logs.redacted({"stage": "dev", "count": 3, "at": None}) == {"stage": "dev", "count": 3, "at": None}


def test_libraries_and_tracebacks_go_through_the_same_redaction(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        logs.configure(json=True)
        structlog.get_logger("ours").info("hello", response_url=SECRETS[3], text=SECRETS[0])
        logging.getLogger("theirs").warning("body: %s", {"token": SECRETS[0], "url": SECRETS[4]})
        try:
            raise ValueError(SECRETS[6])
        except ValueError:
            structlog.get_logger("ours").exception("it failed")
        written = capsys.readouterr().err
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()
    lines = [json.loads(line) for line in written.splitlines()]
    assert [line["event"][:5] for line in lines] == ["hello", "body:", "it fa"]
    assert "ValueError" in lines[2]["exception"]
    for secret in SECRETS:
        assert secret not in written
