-- What lists and searches look at: one narrow row per picture that is not deleted, kept up to date
-- in the transactions that change what it tells.
--
-- `words` holds, in one GIN index, the words of all texts (weight A: title and file name, B: tags,
-- C: description, D: visible text; each as it is and as an English stem), every tag as '#tag', and
-- the tenant as '@id': so a search costs what its own tenant's matches cost. Words are folded by
-- ocelli.domain.search before they get here.
--
-- Vectors belong out of the row (TOAST): then 100,000 rows are 14 MB instead of 105, and counting
-- and sorting many matches is that much cheaper. Postgres moves values out of rows of more than
-- 2 kB only; `filler` makes every row one of those, and is itself compressed to a few bytes.
CREATE TABLE library (
    image_id uuid PRIMARY KEY REFERENCES images ON DELETE CASCADE,
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    shown_at timestamptz NOT NULL,  -- when the photo was taken, or else when it came
    created_at timestamptz NOT NULL,
    size_bytes bigint NOT NULL,
    described boolean NOT NULL,
    name text NOT NULL,  -- what sorting by title compares
    words tsvector NOT NULL,
    filler text GENERATED ALWAYS AS (repeat(' ', 2000)) STORED
) WITH (toast_tuple_target = 128);
ALTER TABLE library ALTER COLUMN words SET STORAGE EXTERNAL;
ALTER TABLE library ALTER COLUMN name SET STORAGE PLAIN;
CREATE INDEX library_words ON library USING gin (words);
CREATE INDEX library_by_tenant ON library (tenant_id, shown_at, image_id);

-- Pictures of before: findable by plain words; folded like all others when they next change.
INSERT INTO library (image_id, tenant_id, shown_at, created_at, size_bytes, described, name, words)
SELECT i.id, i.tenant_id, coalesce(i.content_created_at, i.created_at), i.created_at, i.size_bytes,
    a.id IS NOT NULL, lower(coalesce(i.title, i.filename)),
    setweight(to_tsvector('simple', lower(concat_ws(' ', i.title, i.filename))), 'A')
        || setweight(to_tsvector('simple', lower(array_to_string(i.tags || a.tags, ' '))), 'B')
        || setweight(to_tsvector('simple', lower(coalesce(a.description, ''))), 'C')
        || setweight(to_tsvector('simple', lower(coalesce(a.visible_text, ''))), 'D')
        || array_to_tsvector(ARRAY['@' || i.tenant_id]
            || ARRAY(SELECT DISTINCT '#' || lower(tag) FROM unnest(i.tags || a.tags) AS tag))
FROM images i
LEFT JOIN LATERAL (
    SELECT * FROM analyses WHERE image_id = i.id AND status = 'completed'
    ORDER BY created_at DESC LIMIT 1
) a ON true
WHERE i.deleted_at IS NULL;

-- The history of descriptions.
CREATE INDEX analyses_completed ON analyses (tenant_id, created_at DESC, id)
    WHERE status = 'completed' AND image_id IS NOT NULL;

-- How far the extraction of a picture's colours has come, and what it found. `number` stands for
-- the picture in image_colors: 8 bytes instead of 16, a million times.
CREATE TABLE palettes (
    image_id uuid PRIMARY KEY REFERENCES images ON DELETE CASCADE,
    number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    status text NOT NULL,
    n_colors integer NOT NULL,
    analysis jsonb,
    error text,
    extracted_at timestamptz
);

-- The dominant colours of each picture. `cell` is the colour's place in a grid of 16 x 16 x 16 over
-- sRGB: a search reads the cells that can hold what it looks for, and measures what it finds there.
CREATE TABLE image_colors (
    number bigint NOT NULL REFERENCES palettes (number) ON DELETE CASCADE,
    rank smallint NOT NULL,
    tenant_id uuid NOT NULL,
    cell smallint NOT NULL,
    rgb integer NOT NULL,
    percentage real NOT NULL,
    name text NOT NULL,
    family text NOT NULL,
    PRIMARY KEY (number, rank)
);
CREATE INDEX image_colors_by_cell ON image_colors (tenant_id, cell, percentage)
    INCLUDE (number, rgb, name, family);
CREATE INDEX image_colors_by_name ON image_colors (tenant_id, name, percentage);
CREATE INDEX image_colors_by_family ON image_colors (tenant_id, family, percentage);

-- Files that people asked for; the object of a completed one is in the store for some days.
CREATE TABLE exports (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    request jsonb NOT NULL,
    status text NOT NULL,
    object_key text,
    record_count integer,
    error text,
    created_at timestamptz NOT NULL,
    completed_at timestamptz
);
CREATE INDEX exports_by_key ON exports (object_key) WHERE object_key IS NOT NULL;
CREATE INDEX exports_by_age ON exports (created_at);
