-- The last checkpoint that was signed.
SELECT note FROM checkpoints ORDER BY size DESC, hour DESC LIMIT 1
