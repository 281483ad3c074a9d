-- Keeps a signed checkpoint; see migrations/0008.
SELECT keep_checkpoint(%(size)s, %(note)s)
