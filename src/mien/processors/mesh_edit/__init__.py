"""The built-in face editor: moves points of the 468-point mesh and lets the pixels follow.

``sliders`` says how far each slider moves which points, ``warp`` turns that into a dense displacement, and
``eyes`` draws what is inside the eyes, which the lids slide over.
"""
