"""History as OpenMetrics with timestamps, for `promtool tsdb create-blocks-from openmetrics`."""
