-- For this transaction: a cursor is planned for all of its rows, not for the first tenth of them.
SET LOCAL cursor_tuple_fraction = 1
