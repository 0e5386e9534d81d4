"""What a public host needs around the page: watching it, guarding it, and forgetting what visitors leave."""
