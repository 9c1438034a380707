"""Slack: listeners, identity, views, sending. Knows no rule: every press goes through the one door of ``commands``."""
