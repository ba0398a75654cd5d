"""LivePortrait (Guo et al. 2024): a face as 21 implicit key-points that an expression and a head pose move.

``motion`` has the maths, ``networks`` the six networks and how they are fed, ``sliders`` what each slider of the
face editor does to the key-points, ``editor`` and ``restorer`` the two processors' work on one face.
"""
