"""From the document of a Reply to Slack's blocks and views, within Slack's limits. Pure."""
