#!/bin/sh
# One role and one database per service; nobody else may connect to it.
#
# The image runs this once, on an empty volume. It is safe to repeat: for a service that came later,
# or for new passwords,
#   docker compose exec postgres sh /docker-entrypoint-initdb.d/10-services.sh
set -eu

for service in registry ideas funding notifications; do
    variable=TAAWON_$(printf '%s' "$service" | tr '[:lower:]' '[:upper:]')_DATABASE_PASSWORD
    password=$(printenv "$variable") || {
        echo "$variable is not set: give the role $service a password" >&2
        exit 1
    }
    # Through the environment: an argument would show in the list of processes.
    SERVICE_PASSWORD=$password psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 \
        --username="${POSTGRES_USER:-postgres}" --dbname=postgres --set=name="$service" <<'SQL'
\getenv password SERVICE_PASSWORD
SELECT format('CREATE ROLE %I', :'name')
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
ALTER ROLE :"name" WITH LOGIN PASSWORD :'password';
SELECT format('CREATE DATABASE %I OWNER %I', :'name', :'name')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
    echo "database and role: $service"
done
