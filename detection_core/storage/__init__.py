"""Images in object storage and in Parquet files, which the workers of a cluster read."""
