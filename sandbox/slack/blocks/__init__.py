"""The validator of Block Kit and views: every limit, and a JSON pointer to what breaks it."""
