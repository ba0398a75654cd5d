"""The history of the tables; each file of ``versions`` is one step of it."""
