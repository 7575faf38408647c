-- Which processes wait for a client's turn, in order: see storage/sql/tickets.py.

ALTER TABLE client ADD COLUMN line bytea;
