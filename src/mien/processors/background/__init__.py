"""Finds the foreground of a picture (``matte``, ``selfie``) and puts something behind it (``compose``)."""
