"""Failover: while a channel is down and its backup is up, a hook is told to switch; later, to switch back.

`channels` says which channels are up, `machine` decides (pure), `store` keeps what was decided, `sender` calls the
hook, `driver` runs one pair and `service` all of them. `accounts` keeps the availability of each pair as a group.
"""
