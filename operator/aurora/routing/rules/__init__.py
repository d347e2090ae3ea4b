"""Rules: conditions in the Common Expression Language that say who serves a request."""
