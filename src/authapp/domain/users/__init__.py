"""Users: accounts, what their owners and administrators do with them, and how they are found."""
