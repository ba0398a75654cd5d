"""What outputs say about how they were made, and reading it back."""
