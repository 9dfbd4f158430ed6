-- Folders of pictures. A picture is in one at most; without one it is at the root.
CREATE TABLE folders (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    parent_id uuid REFERENCES folders ON DELETE CASCADE,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX folders_by_name ON folders
    (tenant_id, coalesce(parent_id, '00000000-0000-0000-0000-000000000000'), name);
CREATE INDEX folders_by_parent ON folders (parent_id);
ALTER TABLE images ADD COLUMN folder_id uuid REFERENCES folders ON DELETE SET NULL;
CREATE INDEX images_by_folder ON images (folder_id) WHERE folder_id IS NOT NULL;
