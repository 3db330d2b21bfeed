"""What tests stand on: a local API, stored logins, the command in a real terminal."""
