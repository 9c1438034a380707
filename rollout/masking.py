"""What may be shown of a raw configuration. Pure.

A configuration may hold secrets in any text that people typed: Spark settings, environment variables, tags, arguments,
addresses, logins. So the rule is the safe way round: a value is shown only where its field is known to hold none, and
everything else is hidden, whatever it is called.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from rollout.change import Path, Raw

HIDDEN: Final = "(hidden)"
ABSENT: Final = "none"
_LONGEST: Final = 80
_LONGEST_RULE: Final = 300
#: What is shorter, or one of these, cannot be told from the words of a sentence.
_SHORTEST_SECRET: Final = 6
_WORDS: Final = frozenset(
    {"spark_version", "runtime_engine", "allowlist", "blocklist", "unlimited", "forbidden", "policy"}
)

#: Fields whose values are names, numbers and words of the platform: by the last step of their path.
_SHOWN: Final = frozenset(
    {
        "autotermination_minutes",
        "availability",
        "data_security_mode",
        "defaultValue",
        "disable_auto_optimization",
        "driver_instance_pool_id",
        "driver_node_type_id",
        "ebs_volume_count",
        "ebs_volume_size",
        "ebs_volume_type",
        "enable_elastic_disk",
        "enable_local_disk_encryption",
        "existing_cluster_id",
        "first_on_demand",
        "instance_pool_id",
        "is_single_node",
        "job_cluster_key",
        "kind",
        "max_concurrent_runs",
        "max_retries",
        "max_workers",
        "min_retry_interval_millis",
        "min_workers",
        "node_type_id",
        "num_workers",
        "outcome",
        "pause_status",
        "policy_id",
        "quartz_cron_expression",
        "retry_on_timeout",
        "run_if",
        "runtime_engine",
        "spark_version",
        "spot_bid_max_price",
        "spot_bid_price_percent",
        "task_key",
        "timeout_seconds",
        "timezone_id",
        "use_ml_runtime",
        "zone_id",
    }
)
#: Below these nothing is shown, whatever it is called: people choose the names there themselves.
_NEVER: Final = frozenset(
    {
        "base_parameters",
        "basic_auth",
        "custom_tags",
        "docker_image",
        "init_scripts",
        "job_parameters",
        "named_parameters",
        "notebook_params",
        "parameters",
        "spark_conf",
        "spark_env_vars",
        "tags",
    }
)
#: In a policy these say what its rule about a runtime takes.
_RULES: Final = frozenset({"type", "value", "values", "pattern", "defaultValue", "isOptional", "hidden"})
_ATTRIBUTES: Final = frozenset({"spark_version", "runtime_engine"})
#: Of the settings of a new pool, which a change holds as one text.
_NEW_POOL: Final = "new_pool"
_OF_POOLS: Final = frozenset(
    {
        "enable_elastic_disk",
        "idle_instance_autotermination_minutes",
        "instance_pool_name",
        "max_capacity",
        "min_idle_instances",
        "node_type_id",
        "preloaded_spark_versions",
    }
)
_DOCUMENTS: Final = frozenset({"definition", "policy_family_definition_overrides"})

#: A reference to a secret is no secret: the platform itself shows it.
_REFERENCE: Final = re.compile(r"\{\{secrets/[\w.@ -]{1,128}/[\w.@ -]{1,128}\}\}")
_TOKEN: Final = re.compile(r"\b(dapi|dose|dkea|ghp_|gho_|glpat-|xox[abp]-|AKIA|ASIA|sk-|eyJ)[\w.-]{6,}|-----BEGIN")
#: A word of people: no long run of letters and digits mixed as keys have it.
_KEYLIKE: Final = re.compile(r"(?=[A-Za-z+/=]*\d)(?=[\d+/=]*[A-Za-z])[A-Za-z0-9+/=]{16,}|[0-9a-fA-F]{24,}")


def shown_value(path: Path, value: Any) -> str:
    """The value of the field at ``path`` as it may be shown; ``(hidden)`` where it may be a secret."""
    if value is None:
        return ABSENT
    if isinstance(value, str) and _REFERENCE.fullmatch(value.strip()):
        return value.strip()
    if not _is_shown(path):
        return HIDDEN
    if isinstance(value, Mapping) or (isinstance(value, Sequence) and not isinstance(value, str)):
        parts = list(_plain_parts(value))
        return _fitting(", ".join(parts)) if parts and not isinstance(value, Mapping) else HIDDEN
    return _fitting(str(value).lower() if isinstance(value, bool) else str(value))


def shown_field(path: Path, value: Any) -> str:
    """The same of a field that a change touches.

    Of a whole policy document only its rules about runtimes are shown, of a new pool what sizes and loads it.
    """
    if path == (_NEW_POOL,) and isinstance(value, str):
        return _shown_pool(value)
    if not path or path[0] not in _DOCUMENTS or not isinstance(value, str):
        return shown_value(path, value)
    try:
        opened = json.loads(value)
    except ValueError:
        return HIDDEN
    rules = {path[1]: opened} if len(path) > 1 else opened
    if not isinstance(rules, Mapping):
        return HIDDEN
    said = [
        f"{name} {json.dumps({k: v for k, v in rule.items() if k in _RULES}, sort_keys=True)}"
        for name, rule in rules.items()
        if name in _ATTRIBUTES and isinstance(rule, Mapping)
    ]
    text = "; ".join(said)
    return HIDDEN if not text or _TOKEN.search(text) else text[:_LONGEST_RULE]


def _shown_pool(text: str) -> str:
    try:
        settings = json.loads(text[text.find("{") :])
    except ValueError:
        return HIDDEN
    known = {name: value for name, value in settings.items() if name in _OF_POOLS}
    said = json.dumps(known, sort_keys=True)
    return HIDDEN if not known or _TOKEN.search(said) else said[:_LONGEST_RULE]


def shown_tags(tags: Mapping[str, str], known: Collection[str] = ()) -> list[str]:
    """Tags as they may be shown: the value of one only where the plan itself writes it (``known``: ``key=value``).

    Companies put anything into tags; of all others only the name is said.
    """
    return [
        f"{key}={value}" if f"{key}={value}" in known else HIDDEN if _is_keylike(key) else key
        for key, value in sorted(tags.items())
    ]


def scrubbed(text: str, raw: Raw) -> str:
    """A sentence of somebody else's (a workspace quotes what it refuses) without the secrets of this configuration."""
    for secret in sorted(set(_secrets((), raw)), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _secrets(path: Path, value: Any) -> Iterator[str]:
    """The texts in a configuration that may be secret and are long enough to be told from words."""
    if isinstance(value, str) and path and path[-1] in _DOCUMENTS:
        try:
            opened = json.loads(value)
        except ValueError:
            return
        yield from _secrets((*path, ""), opened)
    elif isinstance(value, Mapping):
        for name, inside in value.items():
            # A policy writes the whole path into one name: spark_env_vars.TOKEN.
            yield from _secrets((*path, *str(name).split(".", 1)[:1], str(name)), inside)
    elif isinstance(value, list):
        for inside in value:
            yield from _secrets(path, inside)
    elif (
        isinstance(value, str)
        and len(value) >= _SHORTEST_SECRET
        and _NEVER & set(path)
        and value not in _WORDS
        and not _REFERENCE.fullmatch(value.strip())
    ):
        yield value


def _is_keylike(text: str) -> bool:
    return bool(_TOKEN.search(text) or _KEYLIKE.search(text))


def path_words(path: Path) -> str:
    """A path as people read it: ``settings.tasks.load.new_cluster.spark_version``; a step that looks secret is not."""
    return ".".join(HIDDEN if _is_keylike(step) else step for step in path)


def _is_shown(path: Path) -> bool:
    if not path:
        return False
    if path[0] == "permissions":  # principals and the platform's own words for levels
        return True
    if path[0] in _DOCUMENTS:
        return len(path) >= 2 and path[1] in _ATTRIBUTES and set(path[2:]) <= _RULES
    return path[-1] in _SHOWN and not _NEVER & set(path[:-1])


def _plain_parts(value: Any) -> Iterator[str]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        for one in value:
            if isinstance(one, Mapping) or (isinstance(one, Sequence) and not isinstance(one, str)):
                return
            yield str(one)


def _fitting(text: str) -> str:
    plain = " ".join(text.split())
    if _TOKEN.search(plain) or "://" in plain:
        return HIDDEN
    return plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST - 1]}…"
