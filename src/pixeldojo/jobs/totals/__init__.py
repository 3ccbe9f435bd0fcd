"""What many jobs add up to: for the account that ran them (`usage`), for whoever runs the server (`backlog`)."""
