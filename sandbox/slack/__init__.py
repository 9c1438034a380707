"""The local Slack: Web API, delivery to the bot, a Block Kit validator, and the page's API, on one origin."""
