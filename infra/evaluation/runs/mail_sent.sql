-- An alert was told of.
SELECT mail_sent(%s, %s)
