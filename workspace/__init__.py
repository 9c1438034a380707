"""Databricks: read and change one workspace. Raw JSON in, raw JSON out. One module per target kind."""
