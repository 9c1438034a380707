"""State: models, migrations, facts for decisions, and transitions (state + event + outbox in one transaction)."""
