"""The one door: parse, authorise, act, reply. Knows no Slack payload and calls no Databricks."""
