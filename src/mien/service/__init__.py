"""What the service does, without HTTP: jobs and their workers, assets, keys, limits, webhooks, retention."""
