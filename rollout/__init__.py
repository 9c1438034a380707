"""The domain: words, rules and decisions. Pure: no I/O, no clock, no Slack, no Databricks, no SQL."""
