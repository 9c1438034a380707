"""ALTER TABLE: properties, constraints, and the dropping of table features."""

from __future__ import annotations

import dataclasses

from sandbox.databricks.errors import Json
from sandbox.databricks.sql import commit, dialect, engine, queries
from sandbox.databricks.sql.errors import SqlError, not_modelled
from sandbox.databricks.sql.grammar import Words
from sandbox.databricks.sql.lake import Table
from sandbox.databricks.sql.log import READER_FEATURES, Log, State, protocol
from sandbox.databricks.sql.session import Session
from sandbox.databricks.sql.versions import DEFAULTS, HOUR, LOG_KEPT, duration, kept

REMOVABLE = {
    "checkConstraints": "delta.constraints.",
    "columnMapping": "delta.columnMapping.",
    "deletionVectors": "delta.enableDeletionVectors",
    "inCommitTimestamp": "delta.enableInCommitTimestamp",
    "rowTracking": "delta.enableRowTracking",
    "typeWidening": "delta.enableTypeWidening",
    "typeWidening-preview": "delta.enableTypeWidening",
    "v2Checkpoint": "delta.checkpointPolicy",
    "vacuumProtocolCheck": "",
    "variantType": "",
    "collations": "",
    "clustering": "",
    "checkpointProtection": "",
    "appendOnly": "delta.appendOnly",
}
"""Features that can be dropped, and the properties that go with them."""
KNOWN = {
    *REMOVABLE,
    "invariants",
    "changeDataFeed",
    "generatedColumns",
    "identityColumns",
    "domainMetadata",
    "timestampNtz",
    "allowColumnDefaults",
    "icebergCompatV1",
    "icebergCompatV2",
    "variantType-preview",
}
TRUNCATION = "delta.dropFeatureTruncateHistory.retentionDuration"
WAITS = 24 * HOUR
"""How long history must have been free of a feature before it may be cut off."""


def alter(session: Session, words: Words) -> None:
    """What follows ALTER TABLE."""
    name = words.name()
    if words.take("SET", "TBLPROPERTIES"):
        given = words.properties()
        words.end()
        _set(session, name, given)
    elif words.take("UNSET", "TBLPROPERTIES"):
        tolerant = words.take("IF", "EXISTS")
        keys = words.keys()
        words.end()
        _unset(session, name, keys, tolerant)
    elif words.take("DROP", "FEATURE"):
        feature = words.key()
        cut = words.take("TRUNCATE", "HISTORY")
        words.end()
        _drop_feature(session, name, feature, cut)
    elif words.take("ADD", "CONSTRAINT"):
        constraint = words.name()[-1].lower()
        words.need("CHECK")
        condition = words.rest()
        _constrain(session, name, constraint, condition)
    else:
        raise not_modelled(f"ALTER TABLE with {words.rest().split(' ')[0] or 'nothing'}")


def _describing(
    session: Session, table: Table, state: State, properties: dict[str, str], features: set[str]
) -> list[Json]:
    metadata = {**state.metadata, "configuration": properties}
    wanted = protocol(commit.needed(properties, state.columns, features))
    actions: list[Json] = [{"metaData": metadata}]
    return actions if wanted == state.protocol else [{"protocol": wanted}, *actions]


def _set(session: Session, name: list[str], given: dict[str, str]) -> None:
    table, log = session.delta(name, "ALTER TABLE", "MODIFY")
    for key, value in given.items():
        if key in DEFAULTS and duration(value) is None:
            raise SqlError(
                "INVALID_INTERVAL_FORMAT.INVALID_UNIT",
                f"Error parsing '{value}' to interval: {key} needs a valid interval such as 'interval 30 days'.",
                "22006",
            )
        if key.startswith("delta.constraints."):
            raise not_modelled("constraints set as properties")
    state = log.state()
    actions = _describing(session, table, state, {**state.properties, **given}, set(state.features))
    info = commit.told("SET TBLPROPERTIES", {"properties": given}, session.user, state.version)
    commit.write(session.lake, table, log, session.now, info, actions)


def _unset(session: Session, name: list[str], keys: list[str], tolerant: bool) -> None:
    table, log = session.delta(name, "ALTER TABLE", "MODIFY")
    state = log.state()
    lost = next((key for key in keys if key not in state.properties), None)
    if lost is not None and not tolerant:
        raise SqlError(
            "DELTA_UNSET_NON_EXISTENT_PROPERTY",
            f"Attempted to unset non-existent property '{lost}' in table {table.name}.",
            "42616",
        )
    left = {key: value for key, value in state.properties.items() if key not in keys}
    info = commit.told("UNSET TBLPROPERTIES", {"properties": keys, "ifExists": tolerant}, session.user, state.version)
    actions = _describing(session, table, state, left, set(state.features))
    commit.write(session.lake, table, log, session.now, info, actions)


def _constrain(session: Session, name: list[str], constraint: str, condition: str) -> None:
    table, log = session.delta(name, "ALTER TABLE", "MODIFY")
    state = log.state()
    key = f"delta.constraints.{constraint}"
    if key in state.properties:
        raise SqlError(
            "DELTA_CONSTRAINT_ALREADY_EXISTS",
            f"Constraint '{constraint}' already exists. Please delete the old constraint first. Old constraint: "
            f"{state.properties[key]}",
            "42710",
        )
    tree = queries.parse(f"SELECT {condition}").expressions[0]
    with session.lake.scratch() as scratch:
        place = engine.copy_for_reading(session.lake.folder(table), state, scratch)
        found = engine.run(f"SELECT count(*) FROM t WHERE NOT ({dialect.write(tree)})", {"t": place})
    wrong = engine.values_of(found)[0][0]
    if wrong:
        raise SqlError(
            "DELTA_NEW_CHECK_CONSTRAINT_VIOLATION",
            f"{wrong} rows in {table.name} violate the new CHECK constraint ({condition}).",
            "23512",
        )
    text = condition.strip().removeprefix("(").removesuffix(")") if condition.startswith("(") else condition
    actions = _describing(session, table, state, {**state.properties, key: text}, set(state.features))
    info = commit.told("ADD CONSTRAINT", {"name": constraint, "expr": text}, session.user, state.version)
    commit.write(session.lake, table, log, session.now, info, actions)


def _drop_feature(session: Session, name: list[str], feature: str, cut: bool) -> None:
    """As 16.3 and newer do it: at once, history kept, checkpoints protected. Or TRUNCATE HISTORY, in two steps."""
    table, log = session.delta(name, "ALTER TABLE", "MODIFY")
    state = log.state()
    _refuse(feature, state, cut)
    needs_history = feature in READER_FEATURES or feature == "checkpointProtection"
    used = {key for key in state.properties if REMOVABLE[feature] and key.startswith(REMOVABLE[feature])}
    left = {
        key: value for key, value in state.properties.items() if key not in used and key != f"delta.feature.{feature}"
    }
    if cut and not needs_history:
        raise SqlError(
            "DELTA_FEATURE_DROP_HISTORY_TRUNCATION_NOT_ALLOWED",
            "The particular feature does not require history truncation.",
            "42000",
        )
    if cut:
        table = _cut(session, table, log, state, feature, left)
        state = log.state()
    features = set(commit.needed(left, state.columns, ())) | (set(state.features) - {feature})
    if needs_history and not cut:
        features.add("checkpointProtection")
    actions: list[Json] = [{"protocol": protocol(features)}, {"metaData": {**state.metadata, "configuration": left}}]
    parameters = {"featureName": feature, "truncateHistory": cut}
    info = commit.told("DROP FEATURE", parameters, session.user, state.version)
    commit.write(session.lake, table, log, session.now, info, actions)


def _refuse(feature: str, state: State, cut: bool) -> None:
    if feature not in KNOWN:
        raise SqlError(
            "DELTA_FEATURE_DROP_UNSUPPORTED_CLIENT_FEATURE",
            f"Cannot drop {feature} because it is not supported by this Databricks version.\nConsider using Databricks "
            "with a higher version.",
            "0AKDC",
        )
    if feature not in state.features:
        raise SqlError(
            "DELTA_FEATURE_DROP_FEATURE_NOT_PRESENT",
            f"Cannot drop {feature} from this table because it is not currently present in the table's protocol.",
            "0AKDE",
        )
    if feature not in REMOVABLE:
        raise SqlError(
            "DELTA_FEATURE_DROP_NONREMOVABLE_FEATURE",
            f"Cannot drop {feature} because dropping this feature is not supported.",
            "0AKDC",
        )
    if feature == "checkpointProtection" and not cut:
        raise SqlError(
            "DELTA_FEATURE_CAN_ONLY_DROP_CHECKPOINT_PROTECTION_WITH_HISTORY_TRUNCATION",
            "Could not drop the Checkpoint Protection feature. This feature can only be dropped by truncating history. "
            "Please try again with the TRUNCATE HISTORY option.",
            "55000",
        )
    if feature == "checkConstraints" and any(key.startswith("delta.constraints.") for key in state.properties):
        names = ", ".join(
            f"`{key.rsplit('.', 1)[1]}`" for key in state.properties if key.startswith("delta.constraints.")
        )
        raise SqlError(
            "DELTA_CANNOT_DROP_CHECK_CONSTRAINT_FEATURE",
            "Cannot drop the CHECK constraints table feature. The following constraints must be dropped first: "
            f"{names}.",
            "0AKDE",
        )


def _cut(session: Session, table: Table, log: Log, state: State, feature: str, left: dict[str, str]) -> Table:
    """First call: the feature is no longer used, and must now grow old. Later: history is cut off behind it."""
    begun = [v for v in range(table.oldest, log.latest + 1) if _stops(log, v, feature)]
    waits = duration(state.properties.get(TRUNCATION, "")) or WAITS
    if begun and session.now - log.at(begun[-1]) >= waits:
        return session.lake.put(dataclasses.replace(table, oldest=log.latest))
    if not begun:
        info = commit.told(
            "DROP FEATURE", {"featureName": feature, "truncateHistory": True}, session.user, state.version
        )
        metadata = {"metaData": {**state.metadata, "configuration": left}}
        commit.write(session.lake, table, log, session.now, info, [metadata])
        raise SqlError(
            "DELTA_FEATURE_DROP_WAIT_FOR_RETENTION_PERIOD",
            f"Dropping {feature} was partially successful.\n\nThe feature is now no longer used in the current version "
            "of the table. However, the feature is still present in historical versions of the table. The table "
            "feature cannot be dropped from the table protocol until these historical versions have expired.\n\nTo "
            "drop the table feature from the protocol, please wait for the historical versions to expire, and then "
            "repeat this command. The retention period for historical versions is currently configured as "
            f"{kept(state.properties, LOG_KEPT) // HOUR} hours.\n\n{_TRY_LATER.format(waits // HOUR)}",
            "22KD0",
        )
    raise SqlError(
        "DELTA_FEATURE_DROP_HISTORICAL_VERSIONS_EXIST",
        f"Cannot drop {feature} because the Delta log contains historical versions that use the feature. Please wait "
        "until the history retention period has passed since the feature was last active.\n\n"
        f"{_TRY_LATER.format(waits // HOUR)}",
        "22KD0",
    )


_TRY_LATER = (
    "Alternatively, please wait for the TRUNCATE HISTORY retention period to expire ({} hours) and then run:\n"
    "    ALTER TABLE table_name DROP FEATURE feature_name TRUNCATE HISTORY"
)


def _stops(log: Log, version: int, feature: str) -> bool:
    info = log.info(version)
    return bool(info["operation"] == "DROP FEATURE" and info["operationParameters"]["featureName"] == feature)
