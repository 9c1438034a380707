"""The durable executor: claims actions, calls the workspaces, records outcomes; the schedule. Calls no Slack."""
