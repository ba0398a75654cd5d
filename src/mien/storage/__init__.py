"""Where results are kept: this machine's disk, S3, R2, GCS, Cloudflare Images."""
