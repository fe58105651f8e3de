"""Users: accounts, what owners and administrators can do with them, and searching them."""
