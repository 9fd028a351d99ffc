"""What the cluster's API knows of its kinds: names, schemas, defaults, and the columns they are shown in."""
