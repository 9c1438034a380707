"""Stories: the sandbox brought to an interesting moment by what its people type and press."""
