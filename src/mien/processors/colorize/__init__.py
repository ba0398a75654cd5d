"""The numbers behind the frame colorizer."""
