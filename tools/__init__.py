"""Small programs for developers: generators and checks."""
