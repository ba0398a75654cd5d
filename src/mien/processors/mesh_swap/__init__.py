"""The built-in face swap: a dense warp of the 468-point mesh, matched in colour, light and sharpness.

No neural network runs here; the analyser's mesh is all that is needed. ``family`` plugs it into the face
swapper, ``swap`` does one face, and the other modules are its steps in the order of ``swap``.
"""
