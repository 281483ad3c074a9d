"""Google's job APIs: their messages, checked as Google checks them."""
