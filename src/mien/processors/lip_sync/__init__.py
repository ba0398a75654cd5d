"""The networks that move lips to a voice, and the part of a face that they redraw."""
