"""The agent as a pod: whose tokens it trusts, and where others find the authority of its certificate."""
