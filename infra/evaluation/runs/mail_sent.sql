-- Records that the mail of an alert was sent.
SELECT mail_sent(%s, %s)
