-- Where a photo was taken, by the GPS position of its file: degrees, both or none.
ALTER TABLE images
    ADD COLUMN latitude double precision CHECK (latitude BETWEEN -90 AND 90),
    ADD COLUMN longitude double precision CHECK (longitude BETWEEN -180 AND 180),
    ADD CONSTRAINT images_location CHECK ((latitude IS NULL) = (longitude IS NULL));
