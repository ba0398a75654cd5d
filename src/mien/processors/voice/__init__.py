"""The voice of a sound, and its mel spectrum as lip networks take it.

``separation`` takes the voice out of music and noise, ``mel`` turns it into 80 bands at 80 columns a second,
``speech`` does both for a file, once per step, in blocks.
"""
