"""A believable fleet that sends webhooks as the platform does: for trying out, for demonstrations and for tests."""
