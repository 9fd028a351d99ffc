"""The cluster's control loops: each a pure function from an object and its relations to changes."""
