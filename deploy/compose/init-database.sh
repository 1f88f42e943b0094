#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# PostgreSQL's image runs it once, in an empty database, as the owner: the three roles, and the user
# that the workers log in as. `precis migrate` grants to them what they need.
set -euo pipefail

# psql reads the password from the file by itself: it stands on no command line.
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set password_file="${WORKER_PASSWORD_FILE:-/run/secrets/worker_password}" \
    --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\set password `cat :'password_file'`
create role precis_migrator nologin;
create role precis_worker nologin;
create role precis_reader nologin;
grant create on database :"DBNAME" to precis_migrator;
create role precis_app login password :'password' in role precis_worker;
SQL
