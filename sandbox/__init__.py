"""A local Slack and a local Databricks, to try the bot and to test it against. Imports none of the other rooms."""
