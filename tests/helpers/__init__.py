"""What several tests share: made-up networks, records and data, and fixtures."""
