"""The consumer: fetches tasks over HTTP from a gateway, works on them on this machine, and reports back.

For machines that nobody can reach from outside: every connection is made from here. Whoever may take a task, for how
long, and what becomes of it is decided by the gateway alone; what a consumer knows beyond that is in its work folder,
so that it may be killed at any moment.
"""
