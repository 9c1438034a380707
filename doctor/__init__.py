"""Whether an installation can work: one module per subject, each only looks. No secret is ever said."""
