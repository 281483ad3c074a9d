-- Keeps those out who let `intervals` follow, until this transaction ends.
SELECT FROM projections WHERE name = 'intervals' FOR UPDATE
