"""Processors: each turns a frame into a frame; one module for each, the larger ones with a package beside it."""
