"""What a public host needs around the page: monitoring, protection, and deletion of what visitors leave."""
