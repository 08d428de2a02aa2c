"""What others need of us: rules, dashboards, routes and texts of messages, for a stack that knows nothing of us."""
