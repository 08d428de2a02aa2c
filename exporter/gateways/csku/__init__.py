"""The webhooks of CSKU AI, the built-in gateway."""
