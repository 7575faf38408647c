-- What only SQLite is asked.

-- name: change_counter
-- Grows when another connection wrote, the writer of this process included.
SELECT data_version FROM pragma_data_version;
