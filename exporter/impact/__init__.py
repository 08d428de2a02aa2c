"""Which conversations an outage hurts: those with a message on the device's channel within `impact.window`.

`conversations` and `hashing` are pure; `store` has the tables; `service` brings the one to the other.
"""
