"""The sandbox from a terminal: what a person would type, press and read in the local Slack."""
