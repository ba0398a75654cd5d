"""The networks behind the age modifier, and how each is fed."""
