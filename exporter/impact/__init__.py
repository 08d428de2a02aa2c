"""Which conversations an outage hurts: those with a message on the device's channel within `impact.window`.

`conversations` and `hashing` are pure; `store` is the table; `snapshots` brings the one to the other.
"""
