"""From a step to its result: checks, pictures, videos in segments, progress, and work that survives a crash."""
