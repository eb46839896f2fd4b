"""The merchants' HTTP API, the payers' public checkout data, and the server that carries both."""
