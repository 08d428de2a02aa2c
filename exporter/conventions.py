"""Every public name: metrics, labels, alerts, outcomes. Rules, dashboards, docs and tests are checked against it."""

from typing import Final

# Labels ------------------------------------------------------------------------------------------------------
DEVICE_LABELS: Final = ("device_id", "engine", "channel_id", "business_id")
INFO_LABELS: Final = (
    *(*DEVICE_LABELS, "gateway"),
    *("device_name", "channel_name", "business_name", "user_id", "user_name"),
)
CHANNEL_LABELS: Final = ("channel_id", "engine", "business_id")
GROUP_LABELS: Final = ("engine", "business_id")
GATEWAY_LABELS: Final = ("gateway",)
FAILOVER_LABELS: Final = ("channel_id", "backup_channel_id")

# Metrics of devices, (name, type, help) ----------------------------------------------------------------------
DEVICE_UP: Final = "device_up"
DEVICE_DISCONNECTS: Final = "device_disconnect_total"
DEVICE_DOWNTIME: Final = "device_downtime_seconds_total"
DEVICE_STATE_CHANGE: Final = "device_state_change_timestamp_seconds"
DEVICE_FIRST_SEEN: Final = "device_first_seen_timestamp_seconds"
DEVICE_INFO: Final = "device_info"
DEVICE_DOWN_SINCE: Final = "device_down_since_timestamp_seconds"
DEVICE_ALERT_DELIVERED: Final = "device_alert_delivered"
DEVICE_AFFECTED_CONVERSATIONS: Final = "device_affected_conversations"
DEVICE_ACKNOWLEDGED: Final = "device_acknowledged"
INCIDENT_ACKNOWLEDGE: Final = "incident_acknowledge_seconds"
DEVICE_MAINTENANCE: Final = "device_maintenance"
DEVICE_MAINTENANCE_END: Final = "device_maintenance_end_timestamp_seconds"
DEVICE_RECONNECTS: Final = "device_reconnects_total"
DEVICE_DISCONNECT_REASONS: Final = "device_disconnect_reason_total"
GATEWAY_UP: Final = "gateway_up"
GATEWAY_STATE_READ: Final = "gateway_state_read_timestamp_seconds"
GATEWAY_CORRECTIONS: Final = "gateway_corrections_total"
GATEWAY_BLIND: Final = "gateway_blind_seconds_total"
GATEWAY_WEBHOOK_CONFIGURED: Final = "gateway_webhook_configured"
GATEWAY_SILENT_SINCE: Final = "gateway_session_silent_since_timestamp_seconds"
CHANNEL_ACTIVE_CONVERSATIONS: Final = "channel_active_conversations"
CHANNEL_FAILOVER_ACTIVE: Final = "channel_failover_active"
CHANNEL_FAILOVER_PENDING: Final = "channel_failover_pending"
CHANNEL_FAILOVER_FAILED: Final = "channel_failover_failed"
CHANNEL_FAILOVER_NO_BACKUP: Final = "channel_failover_no_backup"
FAILOVER_GROUP_DOWNTIME: Final = "failover_group_downtime_seconds_total"
FAILOVER_GROUP_OBSERVED: Final = "failover_group_observed_seconds_total"
FLEET_DEVICES: Final = "fleet_devices"
FLEET_DOWNTIME: Final = "fleet_downtime_seconds_total"
FLEET_OBSERVED: Final = "fleet_observed_seconds_total"
FLEET_DOWNTIME_KNOWN: Final = "fleet_downtime_known_seconds"
FLEET_OBSERVED_KNOWN: Final = "fleet_observed_known_seconds"
FLEET_DISCONNECTS: Final = "fleet_disconnect_total"
FLEET_OUTAGE_DURATION: Final = "fleet_outage_duration_seconds"
POLICY_ALERT_AFTER: Final = "policy_alert_after_seconds"
POLICY_ESCALATE_AFTER: Final = "policy_escalate_after_seconds"
POLICY_OBJECTIVE: Final = "policy_slo_objective_ratio"
POLICY_SEVERITY: Final = "policy_severity_info"
POLICY_UTC_OFFSET: Final = "policy_utc_offset_seconds"

HELP: Final = {
    DEVICE_UP: "Whether the device is connected (1) or disconnected (0).",
    DEVICE_DISCONNECTS: "Outages of the device that have begun.",
    DEVICE_DOWNTIME: "Cumulative downtime of the device by event time, the running outage included.",
    DEVICE_STATE_CHANGE: "Event time of the device's last change of state.",
    DEVICE_FIRST_SEEN: "Event time since when the device is observed.",
    DEVICE_INFO: "Names of the device, its channel, business and user.",
    DEVICE_DOWN_SINCE: "Event time since when the device is disconnected, with its names; only while it is.",
    DEVICE_ALERT_DELIVERED: "Whether an Alertmanager acknowledged the direct alert of a device past its threshold.",
    DEVICE_AFFECTED_CONVERSATIONS: "Conversations active on the channel of a down device at the time it went down.",
    DEVICE_ACKNOWLEDGED: "Whether somebody has the outage of the device; only while somebody does.",
    INCIDENT_ACKNOWLEDGE: "From when people were told of an outage until somebody had it.",
    DEVICE_MAINTENANCE: "Whether the device is inside a planned maintenance window.",
    DEVICE_MAINTENANCE_END: "End of the maintenance window that the running outage outlasted.",
    DEVICE_RECONNECTS: "Soft states that passed in time, so that no outage came of them.",
    DEVICE_DISCONNECT_REASONS: "Outages begun, by the class of the reason that was known then.",
    GATEWAY_UP: "Whether the gateway's own state API answered when it was last asked.",
    GATEWAY_STATE_READ: "When the gateway's own state API last answered.",
    GATEWAY_CORRECTIONS: "Devices whose state was corrected by the gateway's own word: webhooks that were lost.",
    GATEWAY_BLIND: "Time in which nothing was known of single devices, as corrections showed, summed over them.",
    GATEWAY_WEBHOOK_CONFIGURED: "Whether the gateway still has the webhook settings that it once had.",
    GATEWAY_SILENT_SINCE: "Since when no message goes through a session that its gateway calls connected; only then.",
    CHANNEL_ACTIVE_CONVERSATIONS: "Conversations with a message within the impact window.",
    CHANNEL_FAILOVER_ACTIVE: "Whether the channel's traffic is, or may be, switched to its backup channel.",
    CHANNEL_FAILOVER_PENDING: "Whether a call to the hook is outstanding and being tried.",
    CHANNEL_FAILOVER_FAILED: "Whether a call to the hook was given up.",
    CHANNEL_FAILOVER_NO_BACKUP: "Whether the channel is down and its backup is not up either; planned work excluded.",
    FAILOVER_GROUP_DOWNTIME: "Time in which neither the channel nor its backup was up, planned maintenance excluded.",
    FAILOVER_GROUP_OBSERVED: "Time in which the channel or its backup was observed, planned maintenance excluded.",
    FLEET_DEVICES: "Devices by state.",
    FLEET_DOWNTIME: "Downtime summed over devices, planned maintenance excluded.",
    FLEET_OBSERVED: "Observed time summed over devices, planned maintenance excluded.",
    FLEET_DOWNTIME_KNOWN: "Downtime summed over devices as it is known now: late events correct it both ways.",
    FLEET_OBSERVED_KNOWN: "Observed time summed over devices as it is known now: late events correct it.",
    FLEET_DISCONNECTS: "Outages begun, summed over devices.",
    FLEET_OUTAGE_DURATION: "Durations of finished outages.",
    POLICY_ALERT_AFTER: "How long a device must be down before it alerts.",
    POLICY_ESCALATE_AFTER: "How long a device must be down before others are told as well, by step of the escalation.",
    POLICY_OBJECTIVE: "Availability objective.",
    POLICY_SEVERITY: "Severity of alerts about devices of the engine; always 1, the severity is a label.",
    POLICY_UTC_OFFSET: "How far local time is ahead of UTC now; the zone's short name is a label.",
}

OUTAGE_BUCKETS: Final = (1.0, 10.0, 30.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 10800.0, 21600.0, 43200.0, 86400.0)

# The exporter's own metrics ----------------------------------------------------------------------------------
SELF_PREFIX: Final = "device_exporter"

# Outcomes of a webhook event, label `outcome` of device_exporter_events_total
ACCEPTED: Final = "accepted"
DUPLICATE: Final = "duplicate"
REDUNDANT: Final = "redundant"
LATE: Final = "late"
IGNORED: Final = "ignored"
INVALID: Final = "invalid"
UNAUTHORIZED: Final = "unauthorized"
TOO_LARGE: Final = "too_large"
QUARANTINED: Final = "quarantined"
OVERLOADED: Final = "overloaded"
UNAVAILABLE: Final = "unavailable"
OUTCOMES: Final = (
    ACCEPTED,
    DUPLICATE,
    REDUNDANT,
    LATE,
    IGNORED,
    INVALID,
    UNAUTHORIZED,
    TOO_LARGE,
    QUARANTINED,
    OVERLOADED,
    UNAVAILABLE,
)

# Event types of the platform
DISCONNECTED_EVENT: Final = "device.disconnected"
CONNECTED_EVENT: Final = "device.connected"
RECONNECTING_EVENT: Final = "device.reconnecting"  # of gateways that tell of more states than two
MESSAGE_IN: Final = "channel.message_in"
MESSAGE_EVENTS: Final = (MESSAGE_IN, "agent.message_out", "ai.message_generated")
TEST_EVENT: Final = "test"
OTHER_EVENT: Final = "other"  # the label value of every unknown type, so that a sender cannot create series

# Alerts ------------------------------------------------------------------------------------------------------
ALERT_DEVICE_DOWN: Final = "DeviceDown"
ALERT_DEVICE_DOWN_ESCALATED: Final = "DeviceDownEscalated"
ALERT_ENGINE_OUTAGE: Final = "EngineOutage"
ALERT_GATEWAY_OUTAGE: Final = "GatewayOutage"
ALERT_BUSINESS_OUTAGE: Final = "BusinessOutage"
ALERT_MANY_DEVICES_DOWN: Final = "ManyDevicesDown"
ALERT_DEVICE_FLAPPING: Final = "DeviceFlapping"
ALERT_DEVICE_ACKNOWLEDGED: Final = "DeviceAcknowledged"  # a notice: somebody has an outage, or gave it back
ALERT_DEVICE_STILL_DOWN: Final = "DeviceStillDown"  # whoever had it did not end it in time
ALERT_FAILOVER_FAILED: Final = "FailoverFailed"
ALERT_NO_BACKUP: Final = "NoBackupAvailable"

DIGEST_LABEL: Final = "digest"  # of an alert that ManyDevicesDown speaks for: "yes"
ESCALATION_LABEL: Final = "escalation"  # whom an alert escalates to
ACK_LABEL: Final = "ack"  # of what is told about an acknowledgement: its number
ALERT_LABELS: Final = frozenset(
    (*DEVICE_LABELS, "alertname", "gateway", "severity", "source", ESCALATION_LABEL, ACK_LABEL, DIGEST_LABEL)
)

# Annotations of alerts that the relay reads; numbers as decimal digits
FORGOTTEN_ANNOTATION: Final = "forgotten"  # of an alert that ends because its device is watched no longer
SUMMARY_ANNOTATION: Final = "summary"
BUSINESSES_ANNOTATION: Final = "businesses"  # of an alert that speaks for many devices
AFFECTED_ANNOTATION: Final = "affected_conversations"
WAITING_ANNOTATION: Final = "waiting_conversations"
REASON_ANNOTATION: Final = "reason"
REMEDY_ANNOTATION: Final = "remedy"  # in the language of alerts
ACTION_ANNOTATION: Final = "action"  # one step for a person; with the suffix _id in Indonesian
RESCAN_ANNOTATION: Final = "rescan_url"
ACK_URL_ANNOTATION: Final = "ack_url"  # where somebody says that they have the outage
HELD_BY_ANNOTATION: Final = "held_by"  # who has it
