"""Faces: found, followed, described and chosen. Arrays in, arrays out."""
