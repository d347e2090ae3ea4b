"""Malformed autonomy, Decisions and Approvals; see bad_objects.py."""

from tests.apiserver.good_objects import Bad

BAD_AUTONOMY = (
    Bad(
        "the tiers in the wrong order",
        "spec: {autonomy: {thresholds: {autoPercent: 60, monitoredPercent: 70}}}",
        "autoPercent must be above monitoredPercent",
    ),
    Bad(
        "an action that does not exist",
        "spec: {autonomy: {actions: {SCALE_UP: Auto}}}",
        "actions are named SCALE, CACHE, ROUTE",
    ),
    Bad(
        "a mode that does not exist",
        "spec: {autonomy: {mode: Automatic}}",
        'supported values: "Observe", "Recommend", "Auto"',
    ),
    Bad(
        "too short a verification",
        "spec: {autonomy: {verification: {for: 10s}}}",
        "verification.for must be 30s or longer",
    ),
    Bad(
        "a negative cooldown",
        "spec: {autonomy: {cooldown: {up: -5m}}}",
        "write a duration as numbers",
    ),
    Bad(
        "a step of nothing",
        "spec: {autonomy: {maxStepPercent: 0}}",
        "should be greater than or equal to 1",
    ),
    Bad(
        "a budget without a time",
        "spec: {autonomy: {budgets: [{actions: 4}]}}",
        "a budget counts either in a rolling time (per) or in a window",
    ),
    Bad(
        "a budget with two times",
        'spec: {autonomy: {budgets: [{actions: 4, per: 1h, schedule: "0 8 * * 5", duration: 1h}]}}',
        "a budget counts either in a rolling time (per) or in a window",
    ),
    Bad(
        "a window that never closes",
        'spec: {autonomy: {budgets: [{actions: 0, schedule: "0 8 * * 5"}]}}',
        "schedule and duration belong together",
    ),
    Bad(
        "a schedule with an hour that does not exist",
        'spec: {autonomy: {budgets: [{actions: 0, schedule: "0 25 * * 5", duration: 1h}]}}',
        "write a schedule as five cron fields",
    ),
    Bad(
        "a time zone that does not exist",
        'spec: {autonomy: {budgets: [{actions: 0, schedule: "0 8 * * 5", duration: 1h, '
        "timeZone: Mars/Olympus}]}}",
        "write a time zone of the IANA database",
    ),
    Bad(
        "a time zone without a schedule",
        "spec: {autonomy: {budgets: [{actions: 1, per: 1h, timeZone: UTC}]}}",
        "timeZone needs a schedule",
    ),
    Bad(
        "the same budget twice",
        "spec: {autonomy: {budgets: [{actions: 1, per: 1h}, {actions: 1, per: 1h}]}}",
        "two budgets are the same",
    ),
    Bad(
        "retraining for the milder case",
        "spec: {triggers: {retrainAccuracyPercent: 95}}",
        "retraining is for the worse case",
    ),
    Bad(
        "a webhook's URL in the open",
        'spec: {notifications: [{webhook: {url: "https://n8n.example"}}]}',
        'unknown field "spec.notifications[0].webhook.url"',
    ),
    Bad(
        "a name too long for a label",
        f"metadata: {{name: {'l' * 64}}}",
        "metadata.name must be 63 characters or shorter",
    ),
    Bad(
        "a Decision that is changed",
        "spec: {confidencePercent: 99}",
        "a Decision's spec never changes",
        kind="Decision",
        existing=True,
    ),
    Bad(
        "a Decision to do nothing",
        "spec: {action: NO_ACTION}",
        'Unsupported value: "NO_ACTION"',
        kind="Decision",
    ),
    Bad(
        "a Decision that sets nothing",
        "spec: {parameters: removed}",
        "parameters.to must say what the action sets",
        kind="Decision",
    ),
    Bad(
        "confidence as a fraction",
        "spec: {confidencePercent: 0.87}",
        "must be of type integer",
        kind="Decision",
    ),
    Bad(
        "a Decision by somebody else",
        "spec: {confidencePercent: 87}",
        "Decisions are written by AURORA alone, not by mallory",
        kind="Decision",
        user="mallory",
    ),
    Bad(
        "a verdict in other words",
        "spec: {verdict: LGTM}",
        'supported values: "Approve", "Deny"',
        kind="Approval",
    ),
    Bad(
        "an approval in another's name",
        "spec: {approver: jane}",
        "spec.approver must be your own user name: write mallory",
        kind="Approval",
        user="mallory",
    ),
    Bad(
        "an Approval that is turned around",
        "spec: {verdict: Deny}",
        "an Approval never changes: create another one",
        kind="Approval",
        existing=True,
    ),
    Bad(
        "an Approval without the Decision's uid",
        "spec: {decisionRef: {uid: removed}}",
        "spec.decisionRef.uid: Required value",
        kind="Approval",
    ),
)
