"""What /metrics serves: the exporter's own instruments, the policy, the devices."""
