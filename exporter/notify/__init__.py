"""The relay: Alertmanager's webhook in, one short text out to any service that Apprise knows.

Layers, each importing only those before it. Pure: `sms` (lengths), `wording` (languages), `webhook` (the input), `text`
(the rendering). Then `deliveries` (what was already sent), `sending` (Apprise), `relay` (the rules), `http` (the
operation) and `feature`.
"""
