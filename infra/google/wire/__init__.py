"""Google's messages, errors, masks and calls, checked as Google checks them."""
