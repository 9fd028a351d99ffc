"""A cluster's life: made, started, stopped and deleted, by name."""
