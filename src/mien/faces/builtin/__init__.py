"""The built-in face models: BlazeFace, the 468-point mesh and the iris model, and tracking built on them."""
