"""The routes: each parses a request, calls one method of the service, and shapes the answer."""
