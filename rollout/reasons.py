"""Reason codes: the closed list of names for refusals and failures. Wording may change, codes may not."""

from dataclasses import dataclass
from typing import Final

#: code -> what it means, in a few words. Interfaces: logs, tests and people rely on them.
CODES: Final[dict[str, str]] = {
    # who
    "identity_unknown": "who pressed could not be established",
    "other_team": "the person belongs to another Slack team",
    "guest_account": "guests may not act",
    "bot_account": "bots and apps may not act",
    "deactivated_account": "the account is deactivated",
    "shared_channel": "the channel is shared with another company",
    "not_permitted": "the person holds no role that may do this",
    "not_a_role_holder": "the person holds none of the roles that sign",
    "not_in_team": "the person is not in the team that is signed for",
    "started_by_you": "who started a stage does not sign it",
    "already_signed": "one person counts once per stage",
    "role_filled": "this role has all its sign-offs",
    "sign_off_unsigned": "the sign-off carries no signature, as those from before sign-offs were signed",
    "sign_off_key_unknown": "the sign-off was signed with a key that is not in the settings",
    "sign_off_missing": "the record tells of a sign-off that is not there any more",
    "sign_off_altered": "the sign-off is not as it was signed",
    "no_signing_key": "this process has no key to sign with",
    # what
    "unknown_verb": "no such command",
    "unknown_stage": "no such stage",
    "unknown_target": "no such target",
    "ambiguous_target": "several targets fit",
    "missing_argument": "something is missing in the command",
    "malformed_request": "a value in the request is of the wrong type",
    "no_open_rollout": "there is no open rollout here",
    "several_rollouts": "more than one rollout is open",
    "reason_required": "a reason is needed",
    "unknown_item": "no such checklist item",
    "not_attestable": "this item is not ticked by hand",
    "terminal_only": "only from a terminal",
    "read_only": "the bot may only look",
    # when
    "stale_view": "what was shown has changed since",
    "evidence_altered": "the evidence is not what was frozen",
    "predecessor_not_passed": "an earlier stage has not passed",
    "items_open": "required checklist items are open",
    "stage_busy": "the stage is already under way",
    "stage_locked": "the stage is locked",
    "stage_passed": "the stage has already passed",
    "rollout_paused": "the rollout is paused",
    "already_paused": "the rollout is already paused",
    "not_paused": "the rollout is not paused",
    "no_targets": "the stage has no target to change",
    "no_discovery": "the workspaces have not been looked at yet",
    "discovery_stale": "the last look at a workspace is too old",
    "workspace_unreachable": "a workspace did not answer",
    "starter_needed_as_signer": "without the starter the required roles cannot be filled",
    "roles_unfilled": "the required roles cannot be filled by distinct people",
    "change_set_changed": "what was confirmed is no longer what would be done",
    "nothing_to_approve": "the stage is not in review",
    "stage_rejected": "somebody rejected the stage",
    "nothing_to_roll_back": "nothing was changed",
    "later_stage_started": "a later stage has changes",
    "rollback_running": "a rollback is already under way",
    "not_locked": "the stage is not locked",
    "actions_in_flight": "work on the target has not ended",
    "time_passed": "the chosen time has passed",
    "nothing_scheduled": "no start waits for its time",
    "nothing_to_retry": "nothing failed",
    "selection_overlap": "two stages select the same target",
    "team_overlap": "two teams name the same target",
    "team_unsigned": "a team did not sign by its deadline",
    "nothing_to_download": "no edit is left to make in a repository",
    "not_arrived": "not every edit of a repository has been deployed",
    "not_pinned": "the target is not pinned",
    "owner_required": "a pin needs an owner",
    # why left alone (workspace)
    "already_target": "already on the new runtime",
    "other_runtime": "on another runtime",
    "no_runtime": "names no runtime of its own",
    "runtime_unknown": "the runtime key cannot be read",
    "runtime_variant": "a variant of the runtime without a known counterpart",
    "runtime_not_offered": "the workspace does not offer the wanted runtime",
    "custom_image": "uses an image of its own",
    "legacy_access_mode": "uses a legacy access mode",
    "serverless": "runs serverless",
    "managed_pipeline": "belongs to a pipeline",
    "job_created": "created by a job run",
    "sql_warehouse": "runs on a SQL warehouse",
    "runtime_from_policy": "only its policy supplies its runtime",
    "managed_by_bundle": "deployed from a repository",
    "managed_by_terraform": "deployed by Terraform",
    "managed_by_repository": "its tags name the repository that it is deployed from",
    "scala_library": "needs a Scala 2.12 library",
    "policy_refuses": "its policy refuses the wanted runtime",
    "policy_unknown": "its policy cannot be read",
    "pool_not_allowed": "no new pool may be made, or not with the same permissions",
    "pool_name_taken": "the name of the new pool is taken",
    "pool_ambiguous": "more than one pool says that it stands in for this one",
    "uses_shared_cluster": "runs on a shared cluster",
    "pinned": "deliberately left on the old runtime",
    # why it failed (engine)
    "target_gone": "the target no longer exists",
    "permission_denied": "the workspace refused permission",
    "write_refused": "the workspace refused the change",
    "edit_conflict": "somebody else changed the field",
    "cluster_busy": "runs are under way on the cluster",
    "cluster_error": "the cluster did not come up",
    "stuck": "the target did not settle in time",
    "outcome_unknown": "it cannot be told whether the change took effect",
    "not_verified": "after the write the target does not hold what was written",
    "differs_from_backup": "the target is not as its backup says",
    "no_backup": "there is no backup of that generation",
    "max_failures": "too many changes failed",
    "max_run_failures": "too many runs failed on the new runtime",
    "actions_failed": "changes failed",
    "pool_missing": "the pool that stands in for another one was not made",
    "support_in_use": "a shared support is still needed",
    "support_not_needed": "no target needs the support to change",
    "too_few_runs": "too few runs have finished",
    "people_judge": "the numbers are for people to judge",
    "internal_error": "an error of the bot itself",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something was refused or failed: which rule, and what to do next."""

    code: str
    sentence: str
    next_step: str = ""

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"reason code {self.code!r} is not in the list")
