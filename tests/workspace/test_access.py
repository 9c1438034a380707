"""How a workspace is reached: what fits together, what does not, and what is never shown."""

from pathlib import Path

import pytest

from workspace.access import access

HOST = "https://adb-1.2.azuredatabricks.net"


def test_by_token_and_by_client() -> None:
    assert access("ADB-1.2.azuredatabricks.net/", token="t" * 8).host == HOST
    assert access(HOST, client_id="i", client_secret="s" * 8).attributes["auth_type"] == "oauth-m2m"


@pytest.mark.parametrize("here", ["http://127.0.0.1:8080", "http://localhost:8080"])
def test_this_machine_may_be_reached_in_plain_text(here: str) -> None:
    assert access(here, token="t" * 8).host == here


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "the host is missing"),
        ({"token": "tttt"}, "the host is missing"),
        ({"host": HOST}, "give either"),
        ({"host": HOST, "token": ""}, "token is empty"),
        ({"host": HOST, "token": "secret-1", "client_id": "i"}, "give either"),
        ({"host": HOST, "client_id": "i"}, "belong together"),
        ({"host": HOST, "client_secret": "secret-1"}, "belong together"),
        ({"host": "ftp://x", "token": "secret-1"}, "not the address"),
        ({"host": "http://dev.example.com", "token": "secret-1"}, "in plain text"),
        ({"host": "http://10.0.0.7", "client_id": "i", "client_secret": "secret-1"}, "in plain text"),
        ({"host": "http://127.0.0.1.example.com", "token": "secret-1"}, "in plain text"),
        ({"profile": "p", "token": "secret-1"}, "give it alone"),
    ],
)
def test_what_does_not_fit_together_is_refused_without_the_secret(arguments: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says) as raised:
        access(**arguments)
    assert "secret-1" not in str(raised.value)


PROFILES = """
[DEFAULT]
host = https://default.cloud.databricks.com
token = dapi-default-token

[dev]
host = https://dev.cloud.databricks.com/
token = dapi-dev-token%
http_timeout_seconds = 900

[prod]
host = https://prod.cloud.databricks.com
client_id = app
client_secret = prod-secret

[empty]
cluster_id = 1
"""


@pytest.fixture
def profiles(tmp_path: Path) -> str:
    file = tmp_path / "cfg"
    file.write_text(PROFILES)
    return str(file)


def test_a_profile_brings_host_and_credentials_of_its_own(profiles: str) -> None:
    dev = access(profile="dev", profile_file=profiles)
    assert dev.host == "https://dev.cloud.databricks.com"
    assert dev.attributes == {"token": "dapi-dev-token%", "auth_type": "pat"}
    prod = access(profile="prod", profile_file=profiles)
    assert prod.attributes == {"client_id": "app", "client_secret": "prod-secret", "auth_type": "oauth-m2m"}
    assert prod.secrets == ("prod-secret",)
    assert access(profile="DEFAULT", profile_file=profiles).host == "https://default.cloud.databricks.com"


def test_the_profile_file_may_be_named_by_the_environment(profiles: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", profiles)
    assert access(profile="dev").host == "https://dev.cloud.databricks.com"


@pytest.mark.parametrize(
    ("name", "host", "says"),
    [("nobody", None, "no profile"), ("empty", None, "names no host"), ("dev", HOST, "another host")],
)
def test_a_profile_that_does_not_fit_is_refused(profiles: str, name: str, host: str | None, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        access(host, profile=name, profile_file=profiles)


def test_an_unreadable_profile_file_is_not_quoted(tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_text("dapi-secret-line\n")
    for path in (bad, tmp_path / "none"):
        with pytest.raises(ValueError, match="cannot be read") as raised:
            access(profile="dev", profile_file=str(path))
        assert "dapi-secret" not in repr(raised.value)
        assert raised.value.__suppress_context__


def test_credentials_are_not_shown() -> None:
    assert "very-secret" not in repr(access(HOST, token="very-secret"))
