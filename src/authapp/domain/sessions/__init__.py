"""Sessions: from the authentication that starts one to the logout that ends it."""
