"""The numbers behind the frame enhancer."""
