-- Leases are moved on by roles that append: a role that only reads changes nothing of them.
REVOKE EXECUTE ON FUNCTION keep_lease(text, text, integer) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION end_lease(text, text, timestamptz) FROM PUBLIC;
