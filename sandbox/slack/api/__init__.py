"""The Web API: one registry of methods, one module per family."""
