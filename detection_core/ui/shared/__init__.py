"""What tabs and endpoints share on the server: visitors, uploads, served files, limits, progress, examples and links."""
