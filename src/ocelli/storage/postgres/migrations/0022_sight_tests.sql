-- Which backends have shown that they see. `key` stands for server, model and version; `sees` is NULL
-- while there is no result. A process that tests holds the row until `claimed_until`.
CREATE TABLE sight_tests (
    key text PRIMARY KEY,
    sees boolean,
    reason text NOT NULL DEFAULT '',
    tested_at timestamptz,
    claimed_until timestamptz
);
