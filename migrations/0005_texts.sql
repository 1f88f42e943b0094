-- oldest-program: 0.1.0
-- Text that an extractor made of a document's bytes. A job's ranges are of this text, so a job that
-- is taken over has to find the very same; another version of the extractor has rows of its own.
-- The document itself may lie elsewhere (a file, a web server).

create table precis_data.texts (
  document_sha256 text not null,       -- of the bytes
  extractor text not null,             -- name and version of what made the text
  text text not null,
  pages integer,                       -- NULL: the format has none
  media_type text,
  warnings text[] not null,
  created_at timestamptz not null default clock_timestamp(),
  primary key (document_sha256, extractor)
);
