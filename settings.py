"""Every setting, read from the environment and checked at start: all problems in one list. Only app.py imports this."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from rollout.plan import Plan
from storage.database import normalised
from storage.secrets import KeyProblem, Vault

if TYPE_CHECKING:
    from workspace.access import Access

REAL_SLACK = "https://slack.com/api/"


class SettingsError(Exception):
    """The settings do not fit; ``problems`` are sentences, each with what to do."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class Settings(BaseSettings):
    """The settings by their environment names. Secrets never show in ``repr``."""

    model_config = SettingsConfigDict(env_file=None, extra="ignore", case_sensitive=True, populate_by_name=True)

    slack_api_url: str = Field(REAL_SLACK, alias="SLACK_API_URL")
    slack_bot_token: SecretStr | None = Field(None, alias="SLACK_BOT_TOKEN")
    slack_app_token: SecretStr | None = Field(None, alias="SLACK_APP_TOKEN")
    slack_signing_secret: SecretStr | None = Field(None, alias="SLACK_SIGNING_SECRET")
    plans: Annotated[tuple[Path, ...], NoDecode] = Field((), alias="ROLLOUT_PLANS")
    mode: Literal["socket", "http"] = Field("socket", alias="ROLLOUT_MODE")
    host: str = Field("0.0.0.0", alias="ROLLOUT_HOST")
    port: int = Field(3000, alias="PORT", ge=1, le=65535)
    database_url: str = Field("sqlite:///rollout.db", alias="DATABASE_URL")
    secret_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field((), alias="ROLLOUT_SECRET_KEYS")
    clock: Path | None = Field(None, alias="ROLLOUT_CLOCK")
    log: Literal["json", "pretty"] = Field("json", alias="ROLLOUT_LOG")
    http_timeout: float = Field(30.0, alias="ROLLOUT_HTTP_TIMEOUT", gt=0, le=120)
    settle: float = Field(5.0, alias="ROLLOUT_SETTLE", gt=0, le=60)
    parallel: int = Field(16, alias="ROLLOUT_PARALLEL", ge=1, le=100)
    read_only: bool = Field(False, alias="ROLLOUT_READ_ONLY")

    @field_validator("plans", mode="before")
    @classmethod
    def _paths(cls, value: object) -> object:
        return tuple(Path(p.strip()) for p in value.split(",") if p.strip()) if isinstance(value, str) else value

    @field_validator("secret_keys", mode="before")
    @classmethod
    def _keys(cls, value: object) -> object:
        return tuple(k.strip() for k in value.split(",") if k.strip()) if isinstance(value, str) else value


class _Given(Settings):
    """The settings from what it is given, and from nothing else."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def read() -> tuple[Settings, list[str]]:
    """The settings of this process without the values that cannot be read, and a sentence about each of those."""
    # An empty variable is one that is not set: deployment tools write NAME= for what they do not have.
    given: dict[str, Any] = {name: os.environ[name] for name in _NAMES if os.environ.get(name)}
    problems: list[str] = []
    while True:
        try:
            return _Given(**given), problems
        except ValidationError as error:
            for detail in error.errors():
                problems.append(f"{detail['loc'][0]}: {detail['msg'].lower()}")
                given.pop(str(detail["loc"][0]), None)


_NAMES = frozenset(str(f.alias) for f in Settings.model_fields.values())


def check(
    settings: Settings,
    *,
    slack: bool,
    workspaces: bool,
    plans: bool = True,
    separate: bool = False,
    keys: bool = True,
) -> list[str]:
    """Every problem that would stop this way of running: with Slack, with workspaces, with web and worker separate.

    ``keys``: whatever signs, seals or verifies the record needs them; migrating does not.
    """
    problems = []
    try:
        backend = normalised(settings.database_url).get_backend_name()
        if separate and backend != "postgresql":
            problems.append(
                "DATABASE_URL: web and worker are separate processes and need PostgreSQL (postgresql://...)"
            )
    except Exception as error:
        problems.append(f"DATABASE_URL: {error}")
    if slack:
        problems += _slack(settings)
    if keys:
        try:
            Vault([k.get_secret_value() for k in settings.secret_keys])
        except KeyProblem as error:
            problems.append(f"ROLLOUT_SECRET_KEYS: {error}")
    if plans and not settings.plans:
        problems.append("ROLLOUT_PLANS: name at least one plan file (several: separated by commas)")
    problems += [f"ROLLOUT_PLANS: there is no file {p}" for p in settings.plans if not p.is_file()]
    if settings.clock is not None:
        if not settings.clock.is_file():
            problems.append(f"ROLLOUT_CLOCK: there is no file {settings.clock}")
        if slack and _is_real_slack(settings.slack_api_url):
            problems.append(
                "ROLLOUT_CLOCK: a calendar clock together with the real Slack is refused; remove one of them"
            )
    return problems


def _slack(settings: Settings) -> list[str]:
    problems = []
    address = urlsplit(settings.slack_api_url)
    if address.scheme not in {"http", "https"} or not address.netloc or not settings.slack_api_url.endswith("/"):
        problems.append("SLACK_API_URL: a full address that ends with a slash, such as https://slack.com/api/")
    _expect(problems, "SLACK_BOT_TOKEN", settings.slack_bot_token, "xoxb-", "the bot token of the installed app")
    if settings.mode == "socket":
        _expect(
            problems, "SLACK_APP_TOKEN", settings.slack_app_token, "xapp-", "an app-level token (connections:write)"
        )
    else:
        _expect(problems, "SLACK_SIGNING_SECRET", settings.slack_signing_secret, "", "the signing secret of the app")
    return problems


def _expect(problems: list[str], name: str, value: SecretStr | None, prefix: str, what: str) -> None:
    if value is None:
        problems.append(f"{name}: missing; it is {what}")
    elif not value.get_secret_value().startswith(prefix):
        problems.append(f"{name}: does not begin with {prefix}; it is {what}")


def _is_real_slack(url: str) -> bool:
    host = (urlsplit(url).hostname or "").lower()
    return host == "slack.com" or host.endswith((".slack.com", ".slack-gov.com"))


def workspace_access(plans: Sequence[Plan], environment: Mapping[str, str]) -> "dict[str, Access]":
    """How each workspace of the plans is reached, by workspace key. Raises SettingsError with every problem.

    Per workspace: ``DATABRICKS_<KEY>_HOST`` with ``_TOKEN``, or with ``_CLIENT_ID`` and ``_CLIENT_SECRET``; or
    ``_PROFILE``.
    """
    found, problems = access_of(dict.fromkeys(k for plan in plans for k in plan.workspaces), environment)
    if problems:
        raise SettingsError(list(problems.values()))
    return found


def named_workspaces(environment: Mapping[str, str]) -> list[str]:
    """The keys of all workspaces for which there are settings, in the order of their names."""
    found = {match[1].lower() for name in environment if environment[name] and (match := _WORKSPACE.fullmatch(name))}
    return sorted(found - _NO_WORKSPACES)


_WORKSPACE = re.compile(r"DATABRICKS_([A-Z][A-Z0-9_]{0,29})_(?:HOST|PROFILE)")
#: DATABRICKS_CONFIG_PROFILE is a setting of the SDK's own, and names no workspace of ours.
_NO_WORKSPACES = frozenset({"config"})


def is_workspace_key(text: str) -> bool:
    """Whether a workspace may be called so: in a plan, and in the names of its settings."""
    return _WORKSPACE.fullmatch(f"DATABRICKS_{text.upper()}_HOST") is not None and text == text.lower()


def secrets(settings: Settings, environment: Mapping[str, str]) -> list[str]:
    """Every value that must not be shown, whether it fits or not."""
    found = [s.get_secret_value() for s in (settings.slack_bot_token, settings.slack_app_token) if s is not None]
    found += [s.get_secret_value() for s in (settings.slack_signing_secret, *settings.secret_keys) if s is not None]
    found += [value for name, value in environment.items() if _SECRET.fullmatch(name)]
    try:
        found.append(normalised(settings.database_url).password or "")
    except Exception:
        found.append(settings.database_url)  # it cannot be told which part of it is secret
    return [one for one in found if one]


_SECRET = re.compile(r"DATABRICKS_\w*(TOKEN|SECRET)|ROLLOUT_SECRET_KEYS|SLACK_\w*(TOKEN|SECRET)")


def access_of(keys: Iterable[str], environment: Mapping[str, str]) -> "tuple[dict[str, Access], dict[str, str]]":
    """How these workspaces are reached, and a sentence for each whose settings do not fit; both by workspace key."""
    from workspace.access import access

    found: dict[str, Access] = {}
    problems: dict[str, str] = {}
    for key in keys:
        prefix = f"DATABRICKS_{key.upper()}_"

        def setting(name: str, prefix: str = prefix) -> str | None:
            return environment.get(prefix + name) or None

        try:
            found[key] = access(
                host=setting("HOST"),
                token=setting("TOKEN"),
                client_id=setting("CLIENT_ID"),
                client_secret=setting("CLIENT_SECRET"),
                profile=setting("PROFILE"),
            )
        except ValueError as error:
            problems[key] = f"{prefix}*: {error}"
    return found, problems
